"""`asyncio.run` in several threads at once."""

import asyncio

from _runtime import answer, patch, together

patch()
results = []


async def work():
    await asyncio.sleep(0.2)
    results.append(1)


seconds = together(lambda: asyncio.run(work()))
answer(len(results) == 2 and seconds < 0.38)
