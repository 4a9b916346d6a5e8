"""Turns of buffered files: of those older than the patch, of threads that are killed; and afterwards nothing is left of them."""

import io
import sys
import threading
import time

import dhagapatch
from dhagapatch.core import compiled

KINDS = (io.BufferedReader, io.BufferedWriter, io.BufferedRandom)


class Raw(io.RawIOBase):
    def __init__(self):
        self.data = bytearray()

    def readable(self):
        return True

    def writable(self):
        return True

    def write(self, data):
        part = bytes(data)
        time.sleep(0.001)
        self.data += part
        return len(part)

    def readinto(self, buffer):
        time.sleep(0.001)
        buffer[:3] = b"ab\n"
        return 3


def use_together(*functions):
    errors = []

    def use(function):
        try:
            for _ in range(10):
                function()
        except RuntimeError as error:
            errors.append(error)

    threads = [threading.Thread(target=use, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    return errors


held = [dict(vars(kind)) for kind in KINDS]
older = io.BufferedWriter(Raw(), 4)
write, flush = older.write, older.flush
lines = io.BufferedReader(Raw(), 4)
iterator = iter(lines)

report = dhagapatch.patch_all()
assert {f"_io.{kind.__name__}" for kind in KINDS} <= set(report.in_place), report.in_place
assert dhagapatch.is_patched("_io.BufferedReader")

assert use_together(*[lambda: older.write(b"12345")] * 3, older.flush) == []
assert use_together(*[lambda: next(iterator)] * 3, lines.readline, lambda: lines.read(2)) == []
if compiled.speedups is not None:
    # whoever keeps a bound method, and the class's own looks
    assert use_together(*[lambda: write(b"12345")] * 3, flush) == []
    assert [dict(vars(kind)) for kind in KINDS] == held
    assert repr(io.BufferedReader.read) == "<method 'read' of '_io.BufferedReader' objects>", io.BufferedReader.read
    for arguments in ((), (1, 2, 3), (io.BufferedReader, ["read"], True), (io.BufferedReader, ("read",))):
        try:
            compiled.speedups.take_turns(*arguments)
            raise AssertionError(arguments)
        except TypeError as error:
            assert "take_turns(class" in str(error), error
    assert compiled.speedups.take_turns(io.BufferedReader, ("fileno", "closed"), True) == ["fileno", "closed"]

# who is killed while it waits for its turn, or in it, leaves it to the next
gate, reached = threading.Event(), threading.Event()


class Gated(Raw):
    def write(self, data):
        reached.set()
        gate.wait(10)
        return super().write(data)


file = io.BufferedWriter(Gated(), 4)
ended = []


def writes(name):
    try:
        file.write(b"12345678")
    finally:
        ended.append(name)


first = dhagapatch.spawn(writes, "first")
reached.wait(10)
second = dhagapatch.spawn(writes, "second")
third = dhagapatch.spawn(writes, "third")
time.sleep(0.01)
second.kill()
time.sleep(0.01)
assert ended == ["second"], ended
first.kill()
time.sleep(0.01)
assert ended == ["second", "first"], ended
gate.set()
until = time.monotonic() + 10
while len(ended) < 3 and time.monotonic() < until:
    time.sleep(0.005)
assert ended == ["second", "first", "third"], ended
file.write(b"x")
file.flush()

# native threads among them
shared = io.BufferedWriter(Raw(), 16)
done, wrong = [], []


def write_many(number):
    try:
        for n in range(60):
            shared.write(b"%d:%d;" % (number, n))
            if n % 3 == 0:
                shared.flush()
    except BaseException as error:
        wrong.append(error)
    done.append(number)


for number in range(3):
    dhagapatch.original("_thread", "start_new_thread")(write_many, (number,))
for number in range(3, 6):
    threading.Thread(target=write_many, args=(number,)).start()
until = time.monotonic() + 30
while len(done) < 6 and time.monotonic() < until:
    time.sleep(0.005)
shared.flush()
assert not wrong and len(done) == 6, (wrong, done)
assert len(set(bytes(shared.raw.data).split(b";"))) == 361, len(shared.raw.data)

# nothing is kept of those that are gone
inside = sys.modules["dhagapatch.green.buffers"]._inside
assert not inside, inside

# and afterwards all is as it was
dhagapatch.unpatch_all()
assert [dict(vars(kind)) for kind in KINDS] == held
assert not dhagapatch.is_patched("_io.BufferedReader")
assert next(iterator).endswith(b"\n") and next(lines).endswith(b"\n")
assert io.BufferedReader(io.BytesIO(b"x\ny")).readlines() == [b"x\n", b"y"]
assert list(io.BufferedReader(io.BytesIO(b"x\ny"))) == [b"x\n", b"y"]
dhagapatch.patch_all()
assert use_together(*[lambda: next(iterator)] * 3, lines.readline) == []
