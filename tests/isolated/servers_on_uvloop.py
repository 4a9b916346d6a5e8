"""ASGI servers on uvloop, unmodified, with one worker and with more: threads beside their loops are dhagas, at full rate."""

import concurrent.futures
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

APPLICATION = """
import asyncio, json, threading, time
import dhagapatch

ticks, ticker = 0, None

def tick():
    global ticks
    while True:
        time.sleep(0.001)
        ticks += 1

def blocking():
    time.sleep(0.05)
    return len(dhagapatch.get_hub().dhagas)

async def application(scope, receive, send):
    global ticker
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if ticker is None:
        ticker = threading.Thread(target=tick, daemon=True)
        ticker.start()
    before = ticks
    alive = await asyncio.gather(*(asyncio.to_thread(blocking) for _ in range(3)))
    loop = type(asyncio.get_running_loop()).__module__
    said = {"ticks": ticks - before, "dhagas": min(alive), "loop": loop}
    body = json.dumps(said).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
"""
FOLDER = tempfile.mkdtemp()
Path(FOLDER, "app.py").write_text(APPLICATION)
UVICORN = "-m uvicorn app:application --port {port} --log-level warning"
SERVERS = {
    "uvicorn": f"-m dhagapatch {UVICORN}",
    "uvicorn with workers": f"-m dhagapatch --children {UVICORN} --workers 2",
    "hypercorn": "-m dhagapatch --children -m hypercorn app:application -b 127.0.0.1:{port} -k uvloop",
    "gunicorn": "-m dhagapatch -m gunicorn app:application -b 127.0.0.1:{port} -k uvicorn.workers.UvicornWorker -w 2",
}
_SECONDS = 15


def ask(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=_SECONDS) as answer:
        return json.loads(answer.read())


def serve(name, port):
    words = SERVERS[name].format(port=port).split()
    log = Path(FOLDER, f"{port}.log")
    with log.open("wb") as file:
        server = subprocess.Popen(
            [sys.executable, "-W", "ignore", *words], cwd=FOLDER, start_new_session=True, stdout=file, stderr=file
        )
    try:
        end = time.monotonic() + _SECONDS
        while True:
            try:
                ask(port)
                break
            except OSError:
                assert time.monotonic() < end and server.poll() is None, "no answer"
                time.sleep(0.05)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, [port] * 24))
        assert all(answer["loop"] == "uvloop" and answer["dhagas"] >= 4 for answer in answers), answers
        assert max(answer["ticks"] for answer in answers) > 20, answers  # 50 at most
        server.send_signal(signal.SIGTERM)
        assert server.wait(_SECONDS) in (0, -signal.SIGTERM), server.returncode
    except BaseException as error:
        raise AssertionError(f"{name}: {error!r}\n{log.read_text()[-2000:]}") from error
    finally:
        try:
            os.killpg(server.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        server.wait()


free = [socket.create_server(("127.0.0.1", 0)) for _ in SERVERS]
ports = [one.getsockname()[1] for one in free]
for one in free:
    one.close()
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    list(pool.map(serve, SERVERS, ports))
