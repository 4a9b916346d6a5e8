# run: -m dhagapatch
"""Coroutines await blocking code, on the hub's loop and on loops of their own; what ends one side ends the other."""

import asyncio
import contextvars
import queue
import threading
import time

import dhagapatch
from dhagapatch import await_, in_dhaga

variable = contextvars.ContextVar("variable", default="unset")
trail = []


def legacy(seconds):
    try:
        time.sleep(seconds)
    except Exception:
        trail.append("swallowed")
    except dhagapatch.DhagaExit:
        trail.append("killed")
        raise
    return seconds


def raises(error):
    time.sleep(0)
    raise error


async def values():
    began = time.monotonic()
    assert await asyncio.gather(*(in_dhaga(legacy, 0.05) for _ in range(100))) == [0.05] * 100
    assert time.monotonic() - began < 1, "one after the other"
    assert await in_dhaga(lambda *, name: name, name="by name") == "by name"
    for error in (KeyError("gone"), OSError(3, "text"), StopIteration(4)):
        try:
            await in_dhaga(raises, error)
        except (KeyError, OSError) as found:
            assert found is error
        except RuntimeError as found:
            assert found.__cause__ is error  # a coroutine can't raise StopIteration
        else:
            raise AssertionError
    # both sides live: the loop ticks while the dhaga waits for what the loop puts
    fifo = queue.Queue()
    asyncio.get_running_loop().call_later(0.02, fifo.put, "from the loop")
    assert await in_dhaga(fifo.get) == "from the loop"
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    threading.Timer(0.02, lambda: loop.call_soon_threadsafe(event.set)).start()
    await event.wait()


async def contexts():
    variable.set("the task's")

    def looks():
        before = variable.get()
        variable.set("the dhaga's")
        time.sleep(0.001)
        assert variable.get() == "the dhaga's"
        return before

    assert await in_dhaga(looks) == "the task's" and variable.get() == "the task's"


async def cancels():
    trail.clear()
    task = asyncio.ensure_future(in_dhaga(legacy, 10))
    await asyncio.sleep(0.01)
    task.cancel()
    try:
        await task
        raise AssertionError
    except asyncio.CancelledError:
        assert trail == ["killed"] and task.cancelled()
    # before it began: it never does
    ran = []
    task = asyncio.ensure_future(in_dhaga(ran.append, 1))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() or ran == [1]
    # the code goes on in spite of it: its value counts, as with a task
    def stubborn():
        try:
            time.sleep(10)
        except dhagapatch.DhagaExit:
            time.sleep(0.01)
        return "value"

    task = asyncio.ensure_future(in_dhaga(stubborn))
    await asyncio.sleep(0.01)
    task.cancel()
    assert await task == "value"
    # a second cancellation, while the first is worked on
    def slow():
        try:
            time.sleep(10)
        finally:
            trail.append("cleaning")
            time.sleep(0.05)
            trail.append("cleaned")

    trail.clear()
    task = asyncio.ensure_future(in_dhaga(slow))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.sleep(0.01)
    assert not task.done() and trail == ["cleaning"]
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() and trail == ["cleaning"]
    try:
        await asyncio.wait_for(in_dhaga(legacy, 10), 0.02)
        raise AssertionError
    except TimeoutError:
        pass
    async with asyncio.timeout(5):
        assert await in_dhaga(legacy, 0.01) == 0.01
    # a cancellation that the code never saw is not lost: it came when the code had ended, or had no wait left
    async def worker():
        me = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for turn in range(4):
            await in_dhaga(lambda: turn == 2 and loop.call_soon_threadsafe(me.cancel) and None)  # noqa: B023

    task = asyncio.ensure_future(worker())
    await asyncio.wait([task])
    assert task.cancelled()
    # somebody else kills it
    def kills_itself():
        dhagapatch.current_dhaga().kill()
        time.sleep(1)

    try:
        await in_dhaga(kills_itself)
        raise AssertionError
    except asyncio.CancelledError:
        pass


async def everything():
    await values()
    await contexts()
    await cancels()


await_(everything())
asyncio.run(everything())
threads = [threading.Thread(target=asyncio.run, args=(coroutine(),)) for coroutine in (values, contexts, values)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()

# a loop that ends while code is under way: the task is cancelled by `asyncio.run`, and with it the dhaga
trail.clear()


async def leaves():
    asyncio.ensure_future(in_dhaga(legacy, 10))  # noqa: RUF006
    await asyncio.sleep(0.01)


asyncio.run(leaves())
assert trail == ["killed"]

# a coroutine that is dropped takes its dhaga with it
trail.clear()
loop = asyncio.new_event_loop()
task = loop.create_task(in_dhaga(legacy, 10))
loop.run_until_complete(asyncio.sleep(0.01))
task._log_destroy_pending = False
coroutine = task.get_coro()
del task
coroutine.close()
loop.close()
time.sleep(0.01)
assert trail == ["killed"]

# a loop that does not let dhagas run says so
dhagapatch.unpatch_all()
try:
    asyncio.run(in_dhaga(legacy, 0.01))
    raise AssertionError
except RuntimeError as error:
    assert "run_on" in str(error)
