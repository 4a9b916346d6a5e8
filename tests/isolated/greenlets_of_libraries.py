# run: -m dhagapatch
"""A greenlet that a library makes inside a thread: locks, files, thread-local data and forks in it are the thread's."""

import io
import os
import signal
import threading
import time

import greenlet


class Odd(greenlet.greenlet):
    """With attributes and an equality of its own."""

    token = "abc"
    hub_name = "mine"

    def __eq__(self, other):
        return True


def in_odd(function):
    return Odd(function).switch()


# a lock
lock = threading.RLock()
inside = []
most = []


def critical():
    with lock, lock:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.01)
        inside.pop()


threads = [threading.Thread(target=in_odd, args=(critical,)) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(5)
assert most == [1, 1, 1, 1], most

# thread-local data
local = threading.local()


def counts():
    local.number = getattr(local, "number", 0) + 1
    seen.append(local.number)


seen = []
for _ in range(2):
    counts()
    in_odd(counts)
assert seen == [1, 2, 3, 4], seen

# a file that calls back into itself
told = []


class Raw(io.RawIOBase):
    def readable(self):
        return True

    def readinto(self, buffer):
        in_odd(again)
        buffer[:1] = b"x"
        return 1


def again():
    try:
        file.read(1)
    except RuntimeError as error:
        told.append(str(error))


file = io.BufferedReader(Raw())
thread = threading.Thread(target=lambda: told.append(file.read(1)))
thread.start()
thread.join(5)
assert len(told) == 2 and "reentrant call" in told[0] and told[1] == b"x", told

# a fork: the child has the thread that forked, and not the parent's others
parent = os.getpid()
stop = threading.Event()


def other():
    while not stop.wait(0.005):
        if os.getpid() != parent:
            os._exit(9)


def forks():
    child = in_odd(os.fork)
    if child == 0:
        signal.alarm(5)
        time.sleep(0.05)
        done = threading.Thread(target=time.sleep, args=(0.001,))
        done.start()
        done.join()
        os._exit(3)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


codes = []
threading.Thread(target=other, daemon=True).start()
for _ in range(2):
    thread = threading.Thread(target=forks)
    thread.start()
    thread.join(10)
stop.set()
assert os.getpid() == parent
assert codes == [3, 3], codes

# a signal handler that writes to the file for which the main thread waits
reader, writer = os.pipe()
pipe = open(writer, "wb")  # noqa: SIM115


def handler(*_):
    pipe.write(b"h")
    told.append("handled")


signal.signal(signal.SIGALRM, handler)


def fill():
    pipe.write(b"x" * 300_000)
    pipe.flush()


def drain():
    time.sleep(0.2)
    left = 300_000
    while left > 0:
        left -= len(os.read(reader, 65536))


threads = [threading.Thread(target=target, daemon=True) for target in (fill, drain)]
for thread in threads:
    thread.start()
time.sleep(0.02)
signal.setitimer(signal.ITIMER_REAL, 0.05)
pipe.write(b"m")
for thread in threads:
    thread.join(5)
    assert not thread.is_alive()
assert told[-1] == "handled", told
pipe.flush()
