"""Reading from a pipe, by `os.read` and by a file, leaves the others running."""

import os
import threading
import time

from _runtime import Heart, answer, patch

patch()
reader, writer = os.pipe()
heart = Heart()
got = []


def reads():
    with open(reader, "rb") as file:
        got.append(file.read(2))


thread = threading.Thread(target=reads)
thread.start()
time.sleep(0.3)
os.write(writer, b"xy")
thread.join(2)
answer(got == [b"xy"] and heart.longest_gap() < 0.2)
