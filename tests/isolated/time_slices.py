# run: -m dhagapatch --timeslice 0.005
"""Threads that never wait make room for others, where they may be interrupted; elsewhere they are not."""

import builtins
import functools
import importlib
import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

from dhagapatch.green import timeslice
from dhagapatch.testing import Watchdog

watchdog = Watchdog(18)


def start(function, *args):
    thread = threading.Thread(target=function, args=args)
    thread.start()
    return thread


# a heartbeat beside two hogs
stop = False
late = []


def beat():
    while not stop:
        before = time.monotonic()
        time.sleep(0.02)
        late.append(time.monotonic() - before - 0.02)


def hog():
    rounds = 0
    while not stop:
        rounds += 1


threads = [start(beat), start(hog), start(hog)]
time.sleep(0.6)
stop = True
for thread in threads:
    thread.join()
assert len(late) >= 8, late
assert sorted(late)[len(late) // 2] < 0.1, late

# an idle program is left alone
ticks = []
slices = timeslice._slices
tick = slices.tick
slices.tick = lambda frame: (ticks.append(1), tick(frame))
time.sleep(0.3)
assert len(ticks) <= 3, len(ticks)  # 120 in that time, if it ran
del slices.tick

# every kind of loop ends, whatever the function is called through
flag = []


class Made:
    def __init__(self):
        while not flag:
            pass


def through_kwargs(*args, **kwargs):
    while len(flag) < 1:
        pass


def generator():
    while not flag:
        yield 1


def iterate():
    for _ in generator():
        pass


def comprehension():
    while not [one + 1 for one in flag]:
        pass


def with_deadline():
    while not flag and time.monotonic() < 1e15:
        pass


class Context:
    def __enter__(self):
        through_kwargs()

    def __exit__(self, *exc_info):
        pass


def context():
    with Context():
        pass


def call(function, *args, **kwargs):
    return function(*args, **kwargs)


def in_c():
    numbers = list(range(100_000))
    while not flag:  # hardly a signal is seen anywhere but when `sum` returns
        sum(numbers)


for function in (in_c, Made, through_kwargs, iterate, comprehension, with_deadline, context, lambda: call(call, Made)):
    flag.clear()
    thread = start(function)
    time.sleep(0.01)
    start(flag.append, 1).join()
    began = time.monotonic()
    thread.join(5)
    assert not thread.is_alive() and time.monotonic() - began < 0.5, function

# the main dhaga is interrupted too
flag.clear()
start(lambda: (time.sleep(0.001), flag.append(1)))
while not flag:
    pass


# where it must not be: there the others see nothing of it
seen = []


def busy(seconds=0.03):
    """Compute, and tell whether somebody else ran meanwhile."""
    end = time.thread_time() + seconds
    before = len(turns)
    while time.thread_time() < end:
        pass
    seen.append(len(turns) != before)


turns = []
over = False


def others():
    while not over:
        turns.append(1)
        time.sleep(0)


def seen_in(function):
    seen.clear()
    function()
    assert seen, function
    return any(seen)


class Raw(io.RawIOBase):
    def writable(self):
        return True

    def write(self, data):
        busy()
        return len(data)


class Final:
    def __del__(self):
        busy()


class Shown:
    def __repr__(self):
        busy()
        return "shown"


def buffered():
    file = io.BufferedWriter(Raw())
    file.write(b"x" * 100)
    file.flush()


def in_sqlite():
    with sqlite3.connect(":memory:") as connection:
        connection.create_function("busy", 0, busy)
        connection.execute("select busy()")


def finalizer():
    one = Final()
    del one


def in_an_import():
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/a_module_that_computes.py", "w") as file:
            file.write("import builtins; builtins.busy()")
        sys.path.insert(0, folder)
        builtins.busy = busy
        importlib.import_module("a_module_that_computes")
        del sys.path[0]


def in_a_pattern():
    """The C code looks for signals while it searches."""
    search = re.compile("(a+)+b").match  # in C: `re.match` is a function in Python, and may be interrupted at its entry
    before = len(turns)
    search("a" * 22)
    seen.append(len(turns) != before)


start(others)
assert seen_in(busy)
for function in (
    lambda: sorted([1], key=lambda _: busy()),
    lambda: max([1], key=lambda _: busy()),
    functools.lru_cache(busy),
    lambda: repr([Shown()]),
    lambda: json.dumps([set()], default=lambda _: busy()),
    buffered,
    in_sqlite,
    finalizer,
    in_an_import,
    in_a_pattern,
):
    assert not seen_in(function), function
over = True

# a system call that C code makes is not ended by a tick, a child has slices of its own, and an exec has no timer
pid = os.fork()
if pid == 0:
    flag.clear()
    start(lambda: (time.sleep(0.001), flag.append(1)))
    while not flag:
        pass
    os.execv(sys.executable, [sys.executable, "-c", "for i in range(1000000): pass"])
_, status = os.waitpid(pid, 0)
assert status == 0, status
done = subprocess.run([sys.executable, "-c", "for i in range(1000000): pass"])
assert done.returncode == 0

# handlers of the program, and its own timers of CPU time, are its own
came = []
signal.signal(signal.SIGVTALRM, lambda *_: came.append(1))
signal.setitimer(signal.ITIMER_VIRTUAL, 0.01)
while not came:
    pass
