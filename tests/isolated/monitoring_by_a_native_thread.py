"""A native thread turns monitoring on while dhagas wait, beside the hub's own poller and beside an asyncio loop that hosts it."""

import asyncio
import sys
import threading

import dhagapatch

dhagapatch.patch_all()

from dhagapatch import _real

monitoring = getattr(sys, "monitoring", None)
seen = set()


def fail(event, told):
    try:
        inner(event)
    except TimeoutError as error:
        told.append(error)


def inner(event):
    if not event.wait(0.1):
        raise TimeoutError


def turn_on():
    if monitoring is None:
        sys.setprofile(lambda *_: None)
        return
    monitoring.use_tool_id(monitoring.COVERAGE_ID, "a tool")
    monitoring.register_callback(monitoring.COVERAGE_ID, monitoring.events.RAISE, lambda code, *_: seen.add(code.co_name))
    monitoring.set_events(monitoring.COVERAGE_ID, monitoring.events.RAISE)


def turn_off():
    if monitoring is not None:
        monitoring.set_events(monitoring.COVERAGE_ID, 0)
        monitoring.free_tool_id(monitoring.COVERAGE_ID)


def begin():
    told, event = [], threading.Event()
    threads = [threading.Thread(target=fail, args=(event, told)) for _ in range(100)]
    for thread in threads:
        thread.start()
    _real.start_new_thread(turn_on, ())
    return threads, told


for _ in range(2):
    threads, told = begin()
    for thread in threads:
        thread.join()
    assert len(told) == 100
    assert monitoring is None or "inner" in seen, seen
    turn_off()
    seen.clear()


async def main():
    threads, told = begin()
    while len(told) < 100:
        await asyncio.sleep(0.01)
    return threads


for thread in asyncio.run(main()):
    thread.join()
assert monitoring is None or "inner" in seen, seen
