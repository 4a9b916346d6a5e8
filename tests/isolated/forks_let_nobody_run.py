"""In a forked child nobody else runs, whatever hooks that come before the runtime's own do: not even for a moment."""

import os
import signal
import threading
import time

lock = None
seen, codes = [], []


def hook():
    """As those of `threading` and `logging`, only longer: it uses what calls come through at once may use up."""
    signal.alarm(5)  # a child in which others run may never end
    for _ in range(3000):
        with lock:
            pass


os.register_at_fork(after_in_child=hook)

import dhagapatch

dhagapatch.patch_all(timeslice=0.001)
lock = threading.Lock()
over = False


def others():
    while not over:
        seen.append(os.getpid())
        time.sleep(0)


def forks():
    for _ in range(10):
        child = os.fork()
        if not child:
            os._exit(os.getpid() in seen)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


parent = os.getpid()
threads = [threading.Thread(target=others) for _ in range(3)]
forkers = [threading.Thread(target=forks) for _ in range(3)]
for thread in threads + forkers:
    thread.start()
for thread in forkers:
    thread.join()
assert codes == [0] * 30, f"another thread ran in a child: {codes}"
ran = len(seen)
for _ in range(1500):  # who has forked lets the others run again
    with lock:
        pass
assert len(seen) > ran
over = True
for thread in threads:
    thread.join()
assert set(seen) == {parent}

# a fork that fails, as one that succeeds
import resource

from dhagapatch.core.hub import FORKERS

assert not FORKERS, FORKERS
child = os.fork()
if not child:
    assert not FORKERS, FORKERS
    if not os.getuid():
        os.setuid(65534)  # limits are not for root
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    try:
        os.fork()
    except BlockingIOError:
        os._exit(7 if not FORKERS else 1)
    os._exit(2)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
