"""Whatever can hold a native object at the patch holds the green one afterwards, and the native one when it is taken back."""

import asyncio
import collections
import functools
import queue
import select
import threading
import time

import dhagapatch

native_lock, native_sleep = threading.Lock(), time.sleep
LOCK, SLEEP = id(native_lock), id(native_sleep)
queue_of_one = queue.SimpleQueue()
queue_of_one.put("item")


class Slots:
    __slots__ = ("__private", "public")

    def __init__(self):
        self.public = self.__private = native_lock

    def both(self):
        return [self.public, self.__private]


class Attributes:
    lock = native_lock
    sleep = native_sleep
    static = staticmethod(native_sleep)

    def __init__(self):
        self.mine = native_lock


class Items(queue.SimpleQueue):
    """A subclass whose instance has an item."""


def defaults(lock=native_lock, *, sleep=native_sleep):
    return [lock, sleep]


def closure():
    lock = native_lock

    def inner():
        return [lock]

    return inner


def generator():
    lock = native_lock
    yield
    yield [lock]


async def coroutine():
    lock = native_lock
    await asyncio.sleep(0)
    found["a coroutine"] = [lock]


async def async_generator():
    lock = native_lock
    yield
    yield [lock]


def advance(generator):
    """The next item of an async generator that waits for nothing."""
    try:
        generator.asend(None).send(None)
    except StopIteration as stop:
        return stop.value


slots, attributes, inner, begun, items = Slots(), Attributes(), closure(), generator(), Items()
items.put("item")
next(begun)
co, ag = coroutine(), async_generator()
co.send(None)
advance(ag)
holders = {
    "a list": [native_lock], "a dictionary": {"key": native_lock}, "a set": {native_lock},
    "a deque": collections.deque([native_lock]),
}  # fmt: skip
partial = functools.partial(native_sleep, 0)
method = native_lock.acquire
local, poll, epoll = threading.local(), select.poll(), select.epoll()
local.value = "the main thread's"
rlock = threading.RLock()
condition = threading.Condition(native_lock)
found = {}
for name in ("native_lock", "native_sleep"):
    del globals()[name]


def look():
    """What each of them holds now."""
    held = {name: list(one.values()) if type(one) is dict else list(one) for name, one in holders.items()}
    held["slots"] = slots.both()
    held["attributes"] = [Attributes.lock, Attributes.sleep, Attributes.static, attributes.mine]
    held["defaults"], held["a closure"], held["a partial"] = defaults(), inner(), [partial.func]
    held["a bound method"] = [method.__self__]
    held["a condition"] = [condition._lock, condition.acquire.__self__]
    return held


report = dhagapatch.patch_all()
green = look()
green["a generator"] = next(begun)
try:
    co.send(None)
except StopIteration:
    pass
green["a coroutine"] = found["a coroutine"]
green["an async generator"] = advance(ag)
for name, things in green.items():
    assert not {LOCK, SLEEP} & set(map(id, things)), f"{name} has a native object: {things}"
    assert len({id(one) for one in things} | {id(holders["a list"][0]), id(time.sleep)}) == 2, f"{name} has others: {things}"
assert queue_of_one.get() == "item" and items.get() == "item"
kinds = {line.what for line in report.adopted}
assert {"lock", "RLock", "SimpleQueue", "local", "poll", "epoll"} <= kinds, kinds
seen = [local.value]
thread = threading.Thread(target=lambda: seen.append(hasattr(local, "value")))
thread.start()
thread.join()
assert seen == ["the main thread's", False], seen

# what is in them goes along: an RLock that is held twice, and an item
rlock.acquire()
rlock.acquire()
queue_of_one.put("late")
dhagapatch.unpatch_all()
rlock.release()
taken = []
thread = threading.Thread(target=lambda: taken.append(rlock.acquire(blocking=False)))
thread.start()
thread.join()
assert taken == [False] and queue_of_one.get(timeout=1) == "late"
rlock.release()
for name, things in look().items():
    assert all(id(one) in (LOCK, SLEEP) for one in things), f"{name} has a green object: {things}"
assert local.value == "the main thread's"
