# run: -m dhagapatch
"""Ends of Timeouts and kills that come together, or in a condition, or just after a wake-up: none is lost, no lock is."""

import asyncio
import gc
import queue
import sys
import threading
import time
import weakref

import dhagapatch
from dhagapatch import Timeout, shield, spawn

trail = []

# times that no poller can count; first, as a nearer deadline in the heap would be asked for
for seconds in (86400 * 30, float("inf")):
    with Timeout(seconds):
        dhagapatch.offload(dhagapatch.original("time", "sleep"), 0.2)  # longer than the hub looks twice
assert dhagapatch.await_(asyncio.sleep(0.01, 1), timeout=float("inf")) == 1


def spin(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


# the inner block's end comes while a kill, or the outer block's end, is cleaned up: that goes on
def cleans_up(seconds):
    try:
        with Timeout(seconds):
            try:
                time.sleep(10)
            finally:
                time.sleep(0.1)
    except Exception as error:
        trail.append(repr(error))
    trail.append("went on")


victim = spawn(cleans_up, 0.05)
time.sleep(0.02)
victim.kill()
time.sleep(0.2)
assert victim.dead and not trail, trail
try:
    with Timeout(0.02):
        cleans_up(0.04)
    raise AssertionError
except TimeoutError:
    assert not trail, trail


# but not what was handled before the block began
def handles():
    try:
        time.sleep(10)
    except dhagapatch.DhagaExit:
        try:
            with Timeout(0.01):
                time.sleep(10)
        except TimeoutError:
            trail.append("in time")


victim = spawn(handles)
time.sleep(0.01)
victim.kill()
time.sleep(0.1)
assert trail.pop() == "in time" and not trail


# a waiter that was notified has its item, though its time is over in the same turn
fifo, got = queue.Queue(), []


def gets(seconds):
    try:
        with Timeout(seconds):
            got.append(fifo.get())
    except TimeoutError:
        pass


threads = [threading.Thread(target=gets, args=(seconds,)) for seconds in (0.05, 0.5)]
threads.append(threading.Thread(target=lambda: (time.sleep(0.055), fifo.put(1))))
threads.append(threading.Thread(target=lambda: (time.sleep(0.04), spin(0.04))))
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert got == [1], got


# a condition over a plain lock: nobody leaves it with somebody else's lock
condition, inside = threading.Condition(threading.Lock()), []


def waits():
    try:
        with Timeout(0.05), condition:
            condition.wait()
            inside.append("a")
            assert inside == ["a"]
            inside.remove("a")
            time.sleep(0.001)
    except TimeoutError:
        trail.append("over")


def holds(name, before):
    time.sleep(before)
    with condition:
        inside.append(name)
        condition.notify()
        time.sleep(0.1)
        assert inside == [name], inside
        inside.remove(name)
        trail.append(name)


threads = [threading.Thread(target=waits), *(threading.Thread(target=holds, args=args) for args in (("b", 0.02), ("c", 0.07)))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert sorted(trail) == ["b", "c", "over"], trail
trail.clear()


# two ends while a condition takes its lock back: both count
def waits_twice():
    own = threading.Condition()

    def holds_own():
        time.sleep(0.01)
        with own:
            own.notify()
            time.sleep(0.1)

    spawn(holds_own)
    try:
        with Timeout(0.03), own:
            own.wait()
            time.sleep(0.001)
    except TimeoutError:
        trail.append("over")
    time.sleep(1)
    trail.append("went on")


victim = spawn(waits_twice)
time.sleep(0.06)
victim.kill()
time.sleep(0.2)
assert victim.dead and "went on" not in trail, trail


# coroutines of a loop of one's own have asyncio's means
async def uses():
    for scope in (Timeout(1), shield()):
        try:
            with scope:
                raise AssertionError
        except RuntimeError as error:
            assert "asyncio.timeout" in str(error)


asyncio.run(uses())

# no cycles
class Value:
    pass


def keeps_nothing():
    value = Value()
    found = weakref.ref(value)
    try:
        with Timeout(0.01) as timeout:  # noqa: F841
            time.sleep(1)
    except TimeoutError:
        pass
    return found


gc.collect()
gc.disable()
assert keeps_nothing()() is None
assert dhagapatch.await_(dhagapatch.in_dhaga(lambda: weakref.ref(Value())))() is None


async def gives():
    return weakref.ref(await dhagapatch.in_dhaga(Value))


assert dhagapatch.await_(gives())() is None
gc.enable()


# what leaves the loop reaches the main dhaga once
async def leaves():
    await asyncio.sleep(0.001)
    sys.exit(3)


async def outer():
    return await dhagapatch.in_dhaga(lambda: dhagapatch.await_(leaves()))


try:
    thread = threading.Thread(target=lambda: dhagapatch.await_(outer()))
    thread.start()
    thread.join()
    raise AssertionError
except SystemExit as error:
    assert error.code == 3
time.sleep(0.05)
