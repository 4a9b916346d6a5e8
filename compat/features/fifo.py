"""Opening a FIFO waits for the other end, and leaves the others running."""

import os
import tempfile
import threading

from _runtime import answer, patch

path = os.path.join(tempfile.mkdtemp(), "fifo")
os.mkfifo(path)
patch()
got = []


def reads():
    with open(path) as file:
        got.append(file.read())


thread = threading.Thread(target=reads)
thread.start()
with open(path, "w") as file:
    file.write("text")
thread.join(2)
answer(got == ["text"])
