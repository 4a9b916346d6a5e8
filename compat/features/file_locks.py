"""Waiting for a file lock that another process holds leaves the others running."""

import fcntl
import os
import tempfile

from _runtime import Heart, answer, patch

file = open(tempfile.mkstemp()[1], "rb")  # noqa: SIM115
reader, writer = os.pipe()
go_on, tell = os.pipe()
child = os.fork()
if child == 0:
    import time

    mine = open(file.name, "rb")  # noqa: SIM115
    fcntl.flock(mine, fcntl.LOCK_EX)
    os.write(writer, b"x")
    os.read(go_on, 1)
    time.sleep(0.6)
    os._exit(0)
os.read(reader, 1)
patch()
heart = Heart()
os.write(tell, b"x")
fcntl.flock(file, fcntl.LOCK_EX)
answer(heart.longest_gap() < 0.2)
