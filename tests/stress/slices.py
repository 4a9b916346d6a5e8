# run: -m dhagapatch --timeslice 0.001
"""Threads that compute inside of C code which calls Python back, with slices of 1 ms: nothing goes wrong. Argument: seconds."""

import collections
import decimal
import functools
import importlib
import io
import json
import logging
import sqlite3
import sys
import tempfile
import threading
import time
import traceback

from dhagapatch.core.hub import get_hub
from dhagapatch.testing import Watchdog

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 4.0
watchdog = Watchdog(SECONDS + 14)
end = 0.0
go = threading.Event()
failures, rounds = [], collections.Counter()
sys.path.insert(0, tempfile.mkdtemp())


def compute(n=150):
    total = 0
    for number in range(n):
        total += number * number
    return total


VALUE = compute()


class Raw(io.RawIOBase):
    """A file in memory that computes."""

    def __init__(self):
        self.data = bytearray()

    def readable(self):
        return True

    def writable(self):
        return True

    def seekable(self):
        return False

    def write(self, data):
        compute()
        self.data += bytes(data)
        return len(data)

    def readinto(self, buffer):
        compute()
        part = bytes(self.data[: len(buffer)])
        buffer[: len(part)] = part
        del self.data[: len(part)]
        return len(part)


shared_raw = Raw()
shared = io.BufferedWriter(shared_raw, 64)
shared_lines = 0


def buffered():
    raw = Raw()
    with io.TextIOWrapper(io.BufferedWriter(raw, 32), write_through=True) as file:
        for number in range(20):
            file.write(f"line {number}\n")
        file.flush()
        assert raw.data.count(b"\n") == 20, raw.data
    raw = Raw()
    raw.data += b"one\ntwo\nthree\n" * 5
    lines = list(io.BufferedReader(raw, 8))
    assert lines == [b"one\n", b"two\n", b"three\n"] * 5, lines


def buffer_of_all():
    global shared_lines
    shared.write(b"0123456789abcde\n")
    compute()
    shared_lines += 1


stream = io.StringIO()
logger = logging.getLogger("stress")
logger.addHandler(logging.StreamHandler(stream))
logger.setLevel(logging.INFO)
logger.propagate = False


class Slow:
    def __str__(self):
        return str(compute())


def logged():
    logger.info("value %s", Slow())


def imports(count=[0]):  # noqa: B006
    count[0] += 1
    name = f"made_{count[0]}"
    with open(f"{sys.path[0]}/{name}.py", "w") as file:
        file.write("total = 0\nfor number in range(150):\n    total += number * number\n")
    importlib.invalidate_caches()
    assert importlib.import_module(name).total == VALUE
    del sys.modules[name]


finalized = []


class Final:
    def __init__(self):
        self.me = self  # for the collector

    def __del__(self):
        finalized.append(compute())


def finalizers():
    for _ in range(20):
        Final()
    one = Final()
    one.me = None
    del one
    assert all(value == VALUE for value in finalized)
    finalized.clear()


@functools.lru_cache(maxsize=7)
def cached(number):
    return number, compute()


def caches():
    for number in range(25):
        assert cached(number % 10) == (number % 10, VALUE)


def databases():
    with sqlite3.connect(":memory:") as connection:
        connection.create_function("compute", 1, lambda n: compute() + n)
        connection.create_collation("backwards", lambda a, b: (compute(), (a < b) - (a > b))[1])
        connection.execute("create table t (a integer, b text)")
        connection.executemany("insert into t values (?, ?)", ((n, f"{n:02}") for n in range(10)))
        assert connection.execute("select sum(compute(a)) from t").fetchone() == (VALUE * 10 + 45,)
        rows = connection.execute("select b from t order by b collate backwards").fetchall()
        assert rows == [(f"{n:02}",) for n in range(9, -1, -1)]


class Compared:
    def __init__(self, number):
        self.number = number

    def __lt__(self, other):
        compute(20)
        return self.number < other.number

    def __hash__(self):
        compute(20)
        return self.number % 3

    def __eq__(self, other):
        compute(20)
        return self.number == other.number

    def __repr__(self):
        compute(20)
        return f"<{self.number}>"


def sorts():
    numbers = [(n * 7) % 20 for n in range(20)]
    assert sorted(numbers, key=lambda n: (compute(), n)[1]) == sorted(range(20))
    things = [Compared(n) for n in numbers]
    things.sort()
    assert [thing.number for thing in things] == list(range(20))
    table = {Compared(n): n for n in range(12)}
    assert all(table[Compared(n)] == n for n in range(12))
    assert repr([Compared(1), [Compared(2)]]) == "[<1>, [<2>]]"


def encoders():
    text = json.dumps({"a": [{1}, {2}]}, default=lambda one: [compute(), *one])
    assert json.loads(text, object_hook=lambda one: (compute(), one)[1]) == {"a": [[VALUE, 1], [VALUE, 2]]}


def decimals():
    with decimal.localcontext() as context:
        context.prec = 5 + len(threading.current_thread().name) % 20
        before = context.prec
        compute()
        assert decimal.getcontext().prec == before


def generators():
    def count():
        for n in range(10):
            compute()
            yield n

    assert sum(map(lambda n: (compute(20), n)[1], count())) == 45  # noqa: C417
    assert list(filter(lambda n: (compute(20), n % 2)[1], count())) == [1, 3, 5, 7, 9]


preempted = 0
hub = get_hub()
preempt = hub.preempt


def counted(me):
    global preempted
    preempted += 1
    preempt(me)


hub.preempt = counted


def repeat(function):
    go.wait()
    while time.monotonic() < end and not failures:
        try:
            function()
        except BaseException:
            failures.append(f"{function.__name__}: {traceback.format_exc()}")
        rounds[function.__name__] += 1


functions = (
    buffered, buffer_of_all, logged, imports, finalizers, caches, databases, sorts, encoders, decimals, generators,
)  # fmt: skip
unraised = []
sys.unraisablehook = lambda args: unraised.append(args.exc_value)
threads = [threading.Thread(target=repeat, args=(function,)) for function in functions for _ in range(2)]
for thread in threads:
    thread.start()
end = time.monotonic() + SECONDS
go.set()
for thread in threads:
    thread.join()
del hub.preempt
assert not failures, failures[0]
assert not unraised, unraised
shared.flush()
assert len(shared_raw.data) == 16 * shared_lines and shared_raw.data == b"0123456789abcde\n" * shared_lines
lines = stream.getvalue().splitlines()
assert set(lines) == {f"value {VALUE}"} and len(lines) == rounds["logged"]
assert len(rounds) == len(functions), rounds
assert preempted > SECONDS * 5, preempted
print(f"{preempted} times interrupted in {SECONDS:g} s; {sum(rounds.values())} rounds")
