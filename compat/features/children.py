"""Waiting for a child process leaves the others running."""

import subprocess

from _runtime import Heart, answer, patch

patch()
heart = Heart()
subprocess.run(["sleep", "0.4"], check=True)
answer(heart.longest_gap() < 0.2)
