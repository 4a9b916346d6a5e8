# run: -m dhagapatch
"""Signals that arrive while the main dhaga is inside the runtime run their handler a moment later, all and without an error."""

import os
import queue
import signal
import socket
import threading
import time

from shared.left_held import assert_no_worse

ran = []
signal.signal(signal.SIGALRM, lambda signum, frame: ran.append(frame.f_globals["__name__"]))
lock, rlock, jobs = threading.Lock(), threading.RLock(), queue.Queue()
left, right = socket.socketpair()
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
until = time.monotonic() + 1
while time.monotonic() < until:
    with lock, rlock:
        jobs.put(1)
    jobs.get()
    left.send(b"x")
    right.recv(1)
signal.setitimer(signal.ITIMER_REAL, 0)
assert len(ran) > 50 and not [name for name in ran if name.startswith("dhagapatch")], (len(ran), set(ran))


class Stop(Exception):
    pass


def stop(signum, frame):
    raise Stop


signal.signal(signal.SIGALRM, stop)
left_held = 0
for _ in range(30):
    signal.setitimer(signal.ITIMER_REAL, 0.002)
    try:
        while True:
            with lock, rlock:
                pass
    except Stop:
        pass
    assert rlock.acquire(False)
    rlock.release()
    left_held += not lock.acquire(False)
    lock.release()
assert_no_worse(left_held, 30)

# a condition's lock is held again before what interrupts its wait may be raised
condition = threading.Condition()


def hold():
    with condition:
        os.kill(os.getpid(), signal.SIGALRM)
        time.sleep(0.05)


thread = threading.Thread(target=hold)
try:
    with condition:
        thread.start()
        condition.wait(5)
except Stop:
    pass
thread.join()
assert condition.acquire(False)
