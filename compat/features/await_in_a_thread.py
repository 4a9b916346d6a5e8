"""A thread's sequential code can wait for a coroutine on the runtime's own asyncio loop."""

import asyncio

from _runtime import RUNTIME, answer, patch

patch()


async def work():
    await asyncio.sleep(0.01)
    return 42


if RUNTIME == "dhagapatch":
    import dhagapatch

    answer(dhagapatch.await_(work()) == 42)
answer(False)
