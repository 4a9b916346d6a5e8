# run: -m dhagapatch
"""uvicorn serves a Starlette application on the hub's loop, and on uvloop's, which hosts the hub; routes call legacy code."""

import asyncio
import contextlib
import socket
import threading
import time

import requests
import uvicorn
import uvloop
from shared.legacy import Backend, in_threads
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

import dhagapatch
from dhagapatch import await_, in_dhaga


backend = Backend()


async def by_coroutine(request):
    return PlainTextResponse(await in_dhaga(backend.ask, request.path_params["item"]))


def by_function(request):  # Starlette calls it on a thread of its pool
    return PlainTextResponse(backend.ask(request.path_params["item"]))


def by_parts(request):  # a generator that blocks, likewise
    return StreamingResponse(backend.ask(f"{request.path_params['item']}/{part}") for part in range(3))


@contextlib.asynccontextmanager
async def lifespan(application):
    hub = dhagapatch.get_hub()
    host = None if asyncio.get_running_loop() is hub.asyncio_loop else dhagapatch.run_on()
    yield
    if host is not None:
        host.close()


ROUTES = [Route("/coroutine/{item}", by_coroutine), Route("/function/{item}", by_function), Route("/parts/{item}", by_parts)]
application = Starlette(routes=ROUTES, lifespan=lifespan)


def made():
    """A server, and the address that it will listen at."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning", lifespan="on"))
    return server, listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


def ask_everything(front):
    backend.most = 0
    asked = {
        kind: in_threads(10, lambda n: requests.get(f"{front}/{kind}/{n}", timeout=10).text)  # noqa: B023
        for kind in ("coroutine", "function", "parts")
    }
    assert asked["coroutine"] == asked["function"] == [f"/{n}" for n in range(10)], asked
    assert asked["parts"] == ["".join(f"/{n}/{part}" for part in range(3)) for n in range(10)], asked
    assert backend.most > 1, f"{backend.most} at once"


# on the hub's loop, started by blocking code
server, listener, front = made()
task = dhagapatch.get_hub().asyncio_loop.create_task(server.serve([listener]))
while not server.started:
    time.sleep(0.01)
ask_everything(front)
server.should_exit = True
await_(task)

# on a loop that the server runs itself in a thread, as it does when nothing is patched
server, listener, front = made()
thread = threading.Thread(target=server.run, args=([listener],))
thread.start()
while not server.started:
    time.sleep(0.01)
ask_everything(front)
server.should_exit = True
thread.join()


# on uvloop's loop, which hosts the hub
async def on_uvloop():
    server, listener, front = made()
    task = asyncio.ensure_future(server.serve([listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    await in_dhaga(ask_everything, front)
    server.should_exit = True
    await task


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(on_uvloop())
backend.close()
