"""A coroutine can await blocking code, on the same OS thread, while the loop goes on."""

import asyncio
import threading
import time

from _runtime import RUNTIME, answer, patch

patch()
if RUNTIME != "dhagapatch":
    answer(False)
import dhagapatch  # noqa: E402


async def work():
    native = threading.get_native_id()
    ticks = 0
    task = asyncio.ensure_future(dhagapatch.in_dhaga(lambda: (time.sleep(0.1), threading.get_native_id())))
    while not task.done():
        ticks += 1
        await asyncio.sleep(0.01)
    return ticks > 5 and task.result()[1] == native


answer(dhagapatch.await_(work()))
