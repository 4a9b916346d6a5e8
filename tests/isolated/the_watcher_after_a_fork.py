"""The runtime's own native thread ends before a fork, and begins anew after it, in the parent; a child begins its own."""

import _thread
import os
import time

import dhagapatch
from dhagapatch import _real
from dhagapatch.core import own_native_threads

others = own_native_threads()  # the watchdog's


def await_threads(count):
    """Natively, so that no dhaga has its turn; the program is shown none meanwhile."""
    while own_native_threads() != count:
        assert _thread._count() == 0
        _real.sleep(0.0001)
    assert _thread._count() == 0


dhagapatch.patch_all(stall=0.5)
time.sleep(0.001)
await_threads(others + 1)
for _ in range(30):
    pid = os.fork()
    if pid == 0:
        time.sleep(0.001)
        await_threads(1)
        os._exit(3)
    await_threads(others + 1)  # also if nobody waits from now on
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
