# run: -m dhagapatch
"""A child that was forked beside native threads of the runtime has none: it counts none, and finds deadlocks."""

import _thread
import os
import threading
import time

import dhagapatch

dhagapatch.offload(time.sleep, 0.001)  # a thread that idles then
for generation in range(3):
    pid = os.fork()
    if pid:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3, generation
        os._exit(3 if generation else 0)
    assert _thread._count() == 0
    dhagapatch.offload(time.sleep, 0.001)
lock = threading.Lock()
lock.acquire()
try:
    lock.acquire()
except dhagapatch.DeadlockError:
    os._exit(3)
