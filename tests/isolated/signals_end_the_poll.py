# run: -m dhagapatch
"""A signal that comes while the hub polls, with nothing else to come, is handled at once: not when something else ends it."""

import signal
import threading
import time

LONG = 8  # seconds, which nothing takes if the poll is ended
event = threading.Event()
lock = threading.Lock()
lock.acquire()


def sets(*_):
    event.set()


def fails(*_):
    raise LookupError


began = time.monotonic()
for pause in (0.01, 0.2):  # the second one is past the hub's first, short poll
    event.clear()
    signal.signal(signal.SIGALRM, sets)
    signal.setitimer(signal.ITIMER_REAL, pause)
    assert event.wait(LONG)
    signal.signal(signal.SIGALRM, fails)
    signal.setitimer(signal.ITIMER_REAL, pause)
    try:
        lock.acquire(timeout=LONG)
    except LookupError:
        pass
    else:
        raise AssertionError("the handler's exception did not come")
assert time.monotonic() - began < LONG / 2
