# run: -m dhagapatch
"""An aiohttp application on the hub's loop beside threads: handlers call legacy code, threads use its client and websockets."""

import asyncio
import threading
import time

import aiohttp
import requests
from aiohttp import web
from shared.legacy import Backend, in_threads

import dhagapatch
from dhagapatch import await_, in_dhaga


backend = Backend()
cancelled = []


async def ask(request):
    assert asyncio.get_running_loop() is dhagapatch.get_hub().asyncio_loop
    return web.Response(text=await in_dhaga(backend.ask, request.match_info["item"]))


def holds_on():
    try:
        time.sleep(30)
    except BaseException as error:
        cancelled.append(type(error).__name__)
        raise


async def slow(request):
    return web.Response(text=await asyncio.wait_for(in_dhaga(holds_on), 0.1))


async def shout(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(await in_dhaga(lambda text: time.sleep(0.001) or text.upper(), message.data))
    return socket


async def start():
    application = web.Application()
    application.add_routes([web.get("/ask/{item}", ask), web.get("/slow", slow), web.get("/shout", shout)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, runner.addresses[0][1]


runner, port = await_(start())
FRONT = f"http://127.0.0.1:{port}"

# threads with a client that blocks ask the application, which asks threads; meanwhile both sides are live
ticks, beats, over = [], [], threading.Event()


async def ticking():
    while not over.is_set():
        ticks.append(time.monotonic())
        await asyncio.sleep(0.005)


def beating():
    while not over.wait(0.005):
        beats.append(time.monotonic())


heart = threading.Thread(target=beating)
heart.start()
clock = dhagapatch.get_hub().asyncio_loop.create_task(ticking())
assert in_threads(20, lambda n: requests.get(f"{FRONT}/ask/{n}", timeout=5).text) == [f"/{n}" for n in range(20)]
over.set()
heart.join()
await_(clock)
assert len(ticks) > 5 and len(beats) > 5, (len(ticks), len(beats))


# coroutines with aiohttp's client do too
async def fetches():
    async with aiohttp.ClientSession() as session:

        async def one(number):
            async with session.get(f"{FRONT}/ask/{number}") as answer:
                return await answer.text()

        return await asyncio.gather(*map(one, range(10)))


assert await_(fetches()) == [f"/{n}" for n in range(10)]


# threads share a session of aiohttp's, which knows one loop only
async def new_session():
    return aiohttp.ClientSession()


session = await_(new_session())


def by_session(number):
    async def get():
        async with session.get(f"{FRONT}/ask/{number}") as answer:
            return await answer.text()

    return await_(get())


assert in_threads(10, by_session) == [f"/{n}" for n in range(10)]


# and hold a websocket each
def by_websocket(number):
    socket = await_(lambda: session.ws_connect(f"{FRONT}/shout"))
    said = []
    for turn in range(3):
        await_(socket.send_str(f"thread {number} turn {turn}"))
        said.append(await_(socket.receive_str(), timeout=5))
    await_(socket.close())
    return said


assert in_threads(10, by_websocket) == [[f"THREAD {n} TURN {turn}" for turn in range(3)] for n in range(10)]

# a handler whose time is up ends the legacy code it waits for
assert requests.get(f"{FRONT}/slow", timeout=5).status_code == 504
assert cancelled == ["DhagaExit"], cancelled

await_(session.close())
await_(runner.cleanup())
assert backend.most > 1, backend.most
backend.close()
