# run: -m dhagapatch
"""What a hub waits with is the child's own, whether the parent has used its one or not, and the parent's is closed."""

import os
import time

from dhagapatch.core import wakeup
from dhagapatch.core.hub import main_hub


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def in_child(look):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            look()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def prepared_anew():
    assert descriptors() == before
    assert wakeup._prepared and wakeup._prepared[0] is not prepared
    assert not prepared[1].is_whole(), "the parent's is still open here"
    time.sleep(0.001)
    assert main_hub() is not None and descriptors() == before


def made_anew():
    assert descriptors() == before and not hub._wakeup.is_whole()
    time.sleep(0.001)
    assert main_hub() is not hub and descriptors() == before


before = descriptors()
if main_hub() is None:  # the program has not waited so far
    prepared = wakeup._prepared[0]
    in_child(prepared_anew)
time.sleep(0.001)
hub = main_hub()
before = descriptors()
in_child(made_anew)
