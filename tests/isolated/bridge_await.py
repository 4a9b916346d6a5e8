# run: -m dhagapatch
"""A dhaga waits for coroutines and futures on the hub's loop; what ends one side ends the other."""

import asyncio
import contextvars
import gc
import threading
import time
import weakref

import dhagapatch
from dhagapatch import await_

hub = dhagapatch.get_hub()
variable = contextvars.ContextVar("variable", default="unset")
trail = []


def raised(kind, function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except kind as error:
        return str(error)
    raise AssertionError(f"no {kind.__name__}")


async def add(left, right):
    await asyncio.sleep(0.01)
    assert asyncio.get_running_loop() is hub.asyncio_loop
    return left + right


async def fail(error):
    await asyncio.sleep(0)
    raise error


async def linger(seconds=10):
    trail.append("begun")
    try:
        await asyncio.sleep(seconds)
    finally:
        trail.append("ended")


# values and exceptions, from the main dhaga and from a thread, many at once
assert await_(add(1, 2)) == 3
sums = []
threads = [threading.Thread(target=lambda i=i: sums.append(await_(add(i, i)))) for i in range(100)]
began = time.monotonic()
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert sorted(sums) == [2 * i for i in range(100)]
assert time.monotonic() - began < 0.5, "one after the other"
assert raised(KeyError, await_, fail(KeyError("gone"))) == "'gone'"

# a future, a task, and an object with __await__
future = hub.asyncio_loop.create_future()
threading.Timer(0.01, lambda: hub.asyncio_loop.call_soon_threadsafe(future.set_result, "set")).start()
assert await_(future) == "set"
assert await_(future) == "set"


class Ready:
    def __await__(self):
        yield from asyncio.sleep(0.01).__await__()
        return "ready"


assert await_(Ready()) == "ready"


async def awaits_dhaga_that_awaits(depth):
    return await dhagapatch.in_dhaga(lambda: await_(awaits_dhaga_that_awaits(depth - 1))) + 1 if depth else 0


assert await_(awaits_dhaga_that_awaits(20)) == 20

# what is wrong is told
assert "awaitable is required" in raised(TypeError, await_, 3)
other = asyncio.new_event_loop()
strange = other.create_future()
assert "loop" in raised(ValueError, await_, strange)
other.close()


async def calls_await():
    coroutine = add(1, 2)
    try:
        return raised(RuntimeError, await_, coroutine)
    finally:
        coroutine.close()


assert "a coroutine uses await" in await_(calls_await())
native = dhagapatch.original("_thread", "start_new_thread")
told = []
native(lambda: told.append(raised(RuntimeError, await_, future)), ())
while not told:
    time.sleep(0.001)
assert "get_hub" in told[0]

# timeouts cancel, and wait for the end
assert "0.02 s" in raised(TimeoutError, await_, linger(), timeout=0.02)
assert trail == ["begun", "ended"]
assert await_(add(1, 1), timeout=5) == 2
assert raised(TimeoutError, await_, fail(TimeoutError("its own")), timeout=5) == "its own"


async def stubborn():
    try:
        await asyncio.sleep(10)
    except asyncio.CancelledError:
        await asyncio.sleep(0.01)
        return "in spite of all"


assert await_(stubborn(), timeout=0.01) == "in spite of all"
pending = hub.asyncio_loop.create_future()
raised(TimeoutError, await_, pending, timeout=0.01)
assert pending.cancelled()

# a kill cancels; a dhaga that is killed before the task was made leaves none behind
trail.clear()
ends = []


def waits():
    try:
        await_(linger())
    except dhagapatch.DhagaExit:
        ends.append("killed")
        raise


victim = dhagapatch.spawn(waits)
time.sleep(0.02)
victim.kill()
time.sleep(0.02)
assert victim.dead and ends == ["killed"] and trail == ["begun", "ended"]
for pause in (0, 1, 2, 3):
    victim = dhagapatch.spawn(waits)
    for _ in range(pause):
        time.sleep(0)
    victim.kill()
    time.sleep(0.02)
    assert victim.dead
assert not [task for task in asyncio.all_tasks(hub.asyncio_loop) if not task.done()]
assert trail.count("begun") == trail.count("ended")

# a task that somebody else cancels
task = hub.asyncio_loop.create_task(linger())
hub.asyncio_loop.call_later(0.02, task.cancel)
raised(asyncio.CancelledError, await_, task)

# the context goes there, and does not come back
variable.set("mine")


async def looks():
    before = variable.get()
    variable.set("the task's")
    await asyncio.sleep(0)
    return before


assert await_(looks()) == "mine" and variable.get() == "mine"

# the loop waits with a deadline of its own for longer than it takes to look for a deadlock
assert await_(asyncio.sleep(0.2, "slept")) == "slept"
assert "no dhaga can ever run again" in raised(dhagapatch.DeadlockError, await_, hub.asyncio_loop.create_future())


assert "nan" in raised(ValueError, await_, future, float("nan"))


# nothing is kept
class Value:
    pass


async def gives():
    return Value()


kept = weakref.ref(await_(gives()))
gc.collect()
assert kept() is None


class Failure(Exception):
    pass


async def fails():
    await asyncio.sleep(0)
    raise Failure


gc.disable()
try:
    await_(fails())
except Failure as error:
    kept = weakref.ref(error)
time.sleep(0.001)
assert kept() is None, gc.get_referrers(kept())
gc.enable()
