# run: -m dhagapatch
"""Waiters that can never run again, a parent's in a forked child and those of a hub that has ended, are passed over."""

import gc
import os
import sys
import threading
import time

import dhagapatch
from dhagapatch import _real
from dhagapatch.core import compiled, sync


def comes_through(lock):
    """Whether a dhaga that waits for the lock, which is held, gets it when it is released."""
    got = []
    thread = threading.Thread(target=lambda: got.append(lock.acquire(timeout=3)))
    thread.start()
    time.sleep(0.02)
    lock.release()
    thread.join()
    return got == [True]


for kind in (threading.Lock, threading.RLock):
    # a native thread of the parent stands before a waiter of the child
    lock = kind()
    lock.acquire()
    ended = []
    _real.start_new_thread(lambda lock=lock, ended=ended: (lock.acquire(), lock.release(), ended.append(True)), ())
    _real.sleep(0.05)
    pid = os.fork()
    if pid == 0:
        os._exit(0 if comes_through(lock) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, kind
    lock.release()
    while not ended:
        time.sleep(0.001)

    # a dhaga of a native thread that has ended
    lock.acquire()
    ended = []

    def short(lock=lock, ended=ended):
        dhagapatch.get_hub()
        dhagapatch.spawn(lambda: (lock.acquire(), lock.release()))
        time.sleep(0.02)
        ended.append(True)

    _real.start_new_thread(short, ())
    while not ended:
        time.sleep(0.001)
    _real.sleep(0.05)
    gc.collect()
    assert comes_through(lock), kind
    if kind is threading.RLock:
        assert "count=1" in repr(lock), lock  # the thread has ended with it

# who was chosen by a native thread, and is killed again and again before it is woken, passes the wake-up on
release = sync.Lock.release = compiled.IN_PYTHON.get((sync.Lock, "release"), sync.Lock.release)  # compiled, it is one step
for kills, timeout in ((1, 30), (2, 30), (1, 0.04), (3, 0.04)):
    lock = threading.Lock()
    lock.acquire()
    paused, go = [], []

    def look(frame, event, argument, paused=paused, go=go):
        if frame.f_code is not release.__code__:
            return None
        if event == "line" and frame.f_locals.get("parker") is not None and not paused:
            paused.append(True)
            while not go:
                _real.sleep(0.001)
        return look

    def native(lock=lock, look=look):
        sys.settrace(look)
        lock.release()
        sys.settrace(None)

    victim = dhagapatch.spawn(lambda lock=lock, timeout=timeout: (lock.acquire(timeout=timeout), lock.release()))
    time.sleep(0.01)
    _real.start_new_thread(native, ())
    while not paused:
        _real.sleep(0.001)
    time.sleep(0.06)
    for _ in range(kills):
        victim.kill()
        time.sleep(0.005)
    got = []
    other = threading.Thread(target=lambda got=got, lock=lock: got.append(lock.acquire(timeout=3)))
    other.start()
    time.sleep(0.005)
    go.append(True)
    other.join()
    assert got == [True] and victim.dead and not lock._waiters, (kills, timeout, got, victim.dead, lock._waiters)

# tools that are called at branches do not come between the look for a queue and its making
if hasattr(sys, "monitoring"):
    events = sys.monitoring.events
    sys.monitoring.use_tool_id(4, "branches")
    sys.monitoring.register_callback(
        4, events.BRANCH, lambda code, *_: _real.sleep(0) if code.co_filename.endswith(("waitq.py", "sync.py")) else None
    )
    sys.monitoring.set_events(4, events.BRANCH)
    for _ in range(40):
        lock = threading.Lock()
        lock.acquire()
        through = []
        for _ in range(2):
            _real.start_new_thread(lambda lock=lock, through=through: (lock.acquire(), lock.release(), through.append(True)), ())
        _real.sleep(0.002)
        lock.release()
        until = time.monotonic() + 5
        while len(through) < 2:
            assert time.monotonic() < until, "a waiter stood in a queue that nobody knows"
            _real.sleep(0.001)
    sys.monitoring.set_events(4, 0)
