# run: -m dhagapatch
"""The runtime's own descriptors have high numbers: a program finds the low ones free, and may close a range of them."""

import os
import threading
import time

before = os.dup(0)
os.close(before)
time.sleep(0.001)  # makes the hub
threading.Event().wait(0.001)
after = os.dup(0)
assert after == before, (before, after, os.listdir("/proc/self/fd"))
os.closerange(3, 256)
thread = threading.Thread(target=time.sleep, args=(0.01,))
thread.start()
thread.join(5)
assert not thread.is_alive()
reader, writer = os.pipe()
threading.Timer(0.01, os.write, (writer, b"x")).start()
assert os.read(reader, 1) == b"x"
