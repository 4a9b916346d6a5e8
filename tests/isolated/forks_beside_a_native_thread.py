"""A child does not inherit what another OS thread was about to do: a signal to be handled."""

import os
import signal
import threading
import time

import dhagapatch
from dhagapatch.green.signal import _due as due

dhagapatch.patch_all()
native = dhagapatch.original("_thread", "start_new_thread")
pause = dhagapatch.original("time", "sleep")
holds, may_go = [], []


def hold():
    holds.append(1)
    while not may_go:
        pause(0.001)


native(hold, ())
while not holds:
    time.sleep(0.001)
called = []
signal.signal(signal.SIGUSR1, lambda *_: called.append("the parent's handler, in the child"))
due.append(signal.SIGUSR1)
pid = os.fork()
if not pid:
    lock = threading.Lock()
    lock.acquire()
    thread = threading.Thread(target=lock.acquire)
    thread.start()
    time.sleep(0.01)
    lock.release()
    thread.join()
    os._exit(len(called))
may_go.append(1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert due == [signal.SIGUSR1]
