"""A handler that raises while a new thread makes its first steps does not make `Thread.start` believe that it failed."""

import os
import signal
import threading
import time

import dhagapatch

dhagapatch.patch_all()


class Stop(Exception):
    pass


def stop(signum, frame):
    raise Stop


signal.signal(signal.SIGUSR1, stop)
ended = threading.Event()


def work():
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(0.01)
    ended.set()


for _ in range(20):
    ended.clear()
    thread = threading.Thread(target=work)
    start = time.monotonic()
    try:
        thread.start()
        while time.monotonic() < start + 5:  # and it is not put off until the next wait, which may be far
            threading.active_count()
        raise AssertionError("the handler was not called")
    except Stop:
        pass
    assert ended.wait(5)
    thread.join()
assert threading.active_count() == 1
