"""Reading standard input leaves the others running."""

import os
import sys
import threading

from _runtime import Heart, answer, patch

reader, writer = os.pipe()
os.dup2(reader, 0)
patch()
heart = Heart()
threading.Timer(0.4, os.write, (writer, b"a line\n")).start()
line = sys.stdin.readline()
answer(line == "a line\n" and heart.longest_gap() < 0.2)
