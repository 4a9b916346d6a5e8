"""The runtime's own native thread ends before a fork, and begins anew after it, in the parent; a child begins its own."""

import _thread
import os
import time

import dhagapatch
from dhagapatch.core import own_native_threads

others = own_native_threads()  # the watchdog's
dhagapatch.patch_all(stall=0.5)
time.sleep(0.001)
assert own_native_threads() == others + 1 and _thread._count() == 0  # the program has none
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        time.sleep(0.001)
        os._exit(own_native_threads())
    assert own_native_threads() == others + 1  # at once, also if nobody waits from now on
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
