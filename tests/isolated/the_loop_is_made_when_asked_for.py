"""Who never asks for the loop never pays for asyncio; who does gets one that runs, whoever asks, and whenever."""

import sys
import threading
import time

import dhagapatch

dhagapatch.patch_all()
time.sleep(0.001)
threading.Thread(target=time.sleep, args=(0.001,)).start()
hub = dhagapatch.get_hub()
for name in ("asyncio", "tornado", "wrapt", "inspect", "ssl", "logging", "concurrent.futures"):
    assert name not in sys.modules, name

# a native thread asks, while the hub waits for a deadline
seen = []
native = dhagapatch.original("_thread", "start_new_thread")
pause = dhagapatch.original("time", "sleep")


def ask():
    pause(0.05)

    loop = hub.asyncio_loop
    loop.call_soon_threadsafe(seen.append, "called")


native(ask, ())
end = time.monotonic() + 5
while not seen and time.monotonic() < end:
    time.sleep(0.2)
assert seen == ["called"]

# and both go on, side by side
import asyncio

assert hub.ioloop.asyncio_loop is hub.asyncio_loop
done = threading.Event()


async def work():
    assert asyncio.get_running_loop() is hub.asyncio_loop
    for _ in range(3):
        await asyncio.sleep(0.001)
    done.set()


hub.ioloop.add_callback(work)
assert done.wait(5)
beats = []
thread = threading.Thread(target=lambda: [beats.append(time.sleep(0.001)) for _ in range(20)])
thread.start()
hub.ioloop.call_later(0.005, beats.append, "timer")
thread.join(5)
assert len(beats) == 21 and "timer" in beats[:-1]


# a loop of the program's own, in a dhaga, before and after
async def own():
    await asyncio.sleep(0.001)
    return asyncio.get_running_loop() is not hub.asyncio_loop


assert asyncio.run(own())
