"""A program that has handlers for all real-time signals leaves none for the runtime: what is due comes all the same."""

import os
import queue
import signal
import socket
import threading

import dhagapatch

for number in range(signal.SIGRTMIN, signal.SIGRTMAX + 1):
    signal.signal(number, lambda signum, frame: None)
dhagapatch.patch_all()

from dhagapatch.green import signal as green

assert green._own == 0
left_due = []


class Due(list):
    """What is left for a later look; chance decides whether a signal comes where it must be."""

    def append(self, number):
        left_due.append(number)
        super().append(number)


green._due = Due()
ran = []
signal.signal(signal.SIGUSR1, lambda signum, frame: ran.append(frame.f_globals["__name__"]))
lock, rlock, jobs = threading.Lock(), threading.RLock(), queue.Queue()
left, right = socket.socketpair()


reader, writer = os.pipe()
os.set_blocking(writer, False)
os.set_blocking(reader, False)
signal.set_wakeup_fd(writer, warn_on_full_buffer=False)


def calls():
    """Much of the time is the runtime's own."""
    with lock, rlock:
        jobs.put(1)
    jobs.get()
    left.send(b"x")
    right.recv(1)


def sent(signum, count, until):
    """Send it from another OS thread, so that it comes anywhere, each time when the one before has been handled."""
    done = []
    again = dhagapatch.original("_thread", "allocate_lock")()
    again.acquire()

    def send():
        for _ in range(count):
            os.kill(os.getpid(), signum)
            again.acquire()
        done.append(1)

    dhagapatch.original("_thread", "start_new_thread")(send, ())
    for number in range(count):
        while not until(number):
            calls()
        again.release()
    while not done:
        calls()


while len(left_due) < 20:  # each is handled, once, in a frame of the program's
    ran.clear()
    sent(signal.SIGUSR1, 50, lambda number: len(ran) > number)
    assert len(ran) == 50 and not [name for name in ran if name.startswith("dhagapatch")], ran


class Stop(Exception):
    pass


def stop(signum, frame):
    raise Stop


# what a handler raises is raised between two calls, not inside of one, and takes nothing with it
signal.signal(signal.SIGUSR2, stop)
signal.signal(signal.SIGALRM, stop)
left_due.clear()
while len(left_due) < 10:
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    try:
        while True:
            with lock, rlock:
                left.send(b"x")
                right.recv(1)
    except Stop:
        pass
    assert lock.acquire(False) and rlock.acquire(False)
    lock.release()
    rlock.release()

# two that are due at once both come, also if the first raises, and also to who waits
signal.signal(signal.SIGUSR1, lambda signum, frame: ran.append(signum))
ran.clear()
event = threading.Event()
stopped = 0
asked = False
while not (stopped and ran):
    try:
        if not asked:
            asked = True
            green._due += [signal.SIGUSR2, signal.SIGUSR1]
            green._look_again()
        event.wait(0.01)
    except Stop:
        stopped += 1
assert (stopped, ran) == (1, [signal.SIGUSR1]), (stopped, ran)

# and the program's wake-up descriptor is its own again, also to C code
assert green._hidden_fd == -1
signal.raise_signal(signal.SIGUSR1)
assert bytes((signal.SIGUSR1,)) in os.read(reader, 100000)
assert signal.set_wakeup_fd(-1) == writer
