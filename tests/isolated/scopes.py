# run: -m dhagapatch --timeslice 0
"""Timeouts cut blocks of legacy code short, shields protect; neither leaves anything behind for the code that comes after."""

import queue
import socket
import subprocess
import threading
import time

import dhagapatch
from dhagapatch import Timeout, shield

trail = []


def ends_in_time(seconds, function, *args):
    began = time.monotonic()
    try:
        with Timeout(seconds) as timeout:
            function(*args)
    except TimeoutError as error:
        assert timeout.expired and str(seconds) in str(error), error
        assert time.monotonic() - began < seconds + 1
        return
    raise AssertionError("it ended by itself")


def everything_that_waits():
    left, right = socket.socketpair()
    lock = threading.Lock()
    lock.acquire()
    waits = (
        (time.sleep, 10), (left.recv, 1), (lock.acquire,), (queue.Queue().get,), (threading.Event().wait,),
        (queue.SimpleQueue().get,), (subprocess.run, ["sleep", "10"]), (dhagapatch.offload, time.sleep, 0.2),
        (socket.create_server(("127.0.0.1", 0)).accept,),
    )  # fmt: skip
    for function, *args in waits:
        ends_in_time(0.02, function, *args)
    right.send(b"x")
    assert left.recv(1) == b"x"
    lock.release()
    with lock:
        pass


everything_that_waits()
thread = threading.Thread(target=everything_that_waits)
thread.start()
thread.join()


def legacy():
    while True:
        try:
            time.sleep(10)
        except Exception:
            trail.append("swallowed")
        finally:
            trail.append("cleaned up")


ends_in_time(0.02, legacy)
assert trail == ["cleaned up"]


# a kill and the end of a block are told apart by their types, wherever the code waits
def survives_kills(wait):
    try:
        wait()
    except dhagapatch.DhagaExit:
        trail.append("took the block's end for a kill")


def survives_ends(wait):
    try:
        wait()
    except dhagapatch.TimeoutExit:
        trail.append("took a kill for the block's end")


condition, held = threading.Condition(), threading.Lock()
held.acquire()


def waits_in_a_condition():
    with condition:
        condition.wait()


for wait in (lambda: time.sleep(10), held.acquire, waits_in_a_condition, queue.SimpleQueue().get):
    ends_in_time(0.02, survives_kills, wait)
    victim = dhagapatch.spawn(survives_ends, wait)
    time.sleep(0.01)
    victim.kill()
    time.sleep(0.01)
    assert victim.dead
    try:
        with Timeout(0.02):
            wait()
    except TimeoutError as error:
        assert type(error.__cause__) is dhagapatch.TimeoutExit
assert not issubclass(dhagapatch.TimeoutExit, (dhagapatch.DhagaExit, Exception))
assert not issubclass(dhagapatch.DhagaExit, dhagapatch.TimeoutExit)
assert trail == ["cleaned up"], trail
with condition:  # its lock has come back each time
    pass

# the code's own TimeoutError, and its own values, are not touched
with Timeout(5):
    value = queue.Queue()
    value.put(1)
    assert value.get() == 1
try:
    with Timeout(5) as timeout:
        raise TimeoutError("its own")
except TimeoutError as error:
    assert str(error) == "its own" and not timeout.expired
with Timeout(None):
    time.sleep(0.01)


# the time is over, and the block ends before anything waits: nothing hits the code after it
def spin(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


with Timeout(0.01) as timeout:
    spin(0.03)
assert not timeout.expired  # nobody has looked
time.sleep(0.02)
ticks = threading.Thread(target=time.sleep, args=(0.01,))
ticks.start()
with Timeout(0) as timeout:
    try:
        time.sleep(0)
        ticks.join()
    except dhagapatch.TimeoutExit:
        pass  # swallowed by the code: as with asyncio.timeout the block goes on, once
    time.sleep(0.01)
assert timeout.expired
time.sleep(0.02)

# nested: the inner first, the outer first, both at once
for inner, outer in ((0.02, 0.5), (0.5, 0.02), (0.02, 0.02)):
    caught = []
    try:
        with Timeout(outer):
            try:
                with Timeout(inner):
                    time.sleep(10)
            except TimeoutError:
                caught.append("inner")
            time.sleep(0.001)
    except TimeoutError:
        caught.append("outer")
    assert caught in (["inner"], ["inner", "outer"], ["outer"]) and (inner == outer or len(caught) == 1), caught
    assert (caught == ["inner"]) == (inner < outer) or inner == outer, caught
    time.sleep(0.03)

# rescheduled
with Timeout(0.02) as timeout:
    time.sleep(0.01)
    timeout.reschedule(1)
    time.sleep(0.03)
    timeout.reschedule(None)
    time.sleep(0.02)
    timeout.reschedule(0.01)
    try:
        time.sleep(10)
    except dhagapatch.TimeoutExit:
        trail.append("cut")
assert trail.pop() == "cut"


def raised(kind, function, *args):
    try:
        function(*args)
    except kind as error:
        return str(error)
    raise AssertionError(f"no {kind.__name__}")


assert "not being run" in raised(RuntimeError, timeout.reschedule, 1)
assert "used once" in raised(RuntimeError, timeout.__enter__)
assert "-1" in raised(ValueError, Timeout, -1)
raised(ValueError, Timeout, float("nan"))
raised(TypeError, Timeout, "1")
told = []
dhagapatch.original("_thread", "start_new_thread")(
    lambda: told.extend(raised(RuntimeError, kind.__enter__) for kind in (Timeout(1), shield())), ()
)
while len(told) < 2:
    time.sleep(0.001)
assert all("get_hub" in text for text in told)

# shields hold back what comes from outside, and only that
try:
    with Timeout(0.02):
        with shield():
            time.sleep(0.05)
            trail.append("committed")
            ends_in_time(0.01, time.sleep, 10)
            with shield():
                time.sleep(0.01)
            trail.append("cleaned")
        trail.append("never")
except TimeoutError:
    pass
assert trail[-2:] == ["committed", "cleaned"]

# a shield that is left by an exception: the end of the timeout takes it off
try:
    with Timeout(0.01), shield():
        time.sleep(0.03)
        raise KeyError
except KeyError:
    pass
time.sleep(0.01)


def killed():
    with shield():
        with shield():
            time.sleep(0.03)
        trail.append("inner")
        time.sleep(0.01)
        trail.append("outer")
    trail.append("never")


victim = dhagapatch.spawn(killed)
time.sleep(0.01)
victim.kill()
time.sleep(0.1)
assert victim.dead and trail[-2:] == ["inner", "outer"], trail

# many at once, and none is left on the heap
def one(index):
    try:
        with Timeout(0.01 if index % 2 else 60):
            time.sleep(0.05)
    except TimeoutError:
        trail.append("over")


trail.clear()
threads = [threading.Thread(target=one, args=(index,)) for index in range(500)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(trail) == 250
assert len(dhagapatch.get_hub().deadlines) < 300, "the cancelled are swept"
