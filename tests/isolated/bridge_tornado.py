# run: -m dhagapatch
"""A Tornado application on the hub's loop beside threads: its handlers call legacy code, and threads use its streams."""

import http.server
import json
import threading
import time

import requests
import tornado.web
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.iostream import StreamClosedError
from tornado.tcpclient import TCPClient
from tornado.tcpserver import TCPServer
from tornado.testing import bind_unused_port

import dhagapatch
from dhagapatch import await_, in_dhaga


class Legacy(http.server.BaseHTTPRequestHandler):
    """A threaded server, that takes its time."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        time.sleep(0.05)
        body = json.dumps({"path": self.path, "threads": threading.active_count()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


legacy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Legacy)
legacy.daemon_threads = True
threading.Thread(target=legacy.serve_forever, daemon=True).start()
BACKEND = f"http://127.0.0.1:{legacy.server_port}"


class Handler(tornado.web.RequestHandler):
    async def get(self, path):
        assert IOLoop.current() is dhagapatch.get_hub().ioloop
        answer = await in_dhaga(requests.get, f"{BACKEND}/{path}", timeout=5)
        self.write(answer.json())


class Echo(TCPServer):
    async def handle_stream(self, stream, address):
        try:
            while True:
                await stream.write((await stream.read_until(b"\n")).upper())
        except StreamClosedError:
            pass


async def serve():
    web, web_port = bind_unused_port()
    HTTPServer(tornado.web.Application([("/(.*)", Handler)])).add_socket(web)
    echo, echo_port = bind_unused_port()
    Echo().add_socket(echo)
    return web_port, echo_port


web_port, echo_port = await_(serve())
FRONT = f"http://127.0.0.1:{web_port}"

# threads ask the application, which asks the threads
answers = []
began = time.monotonic()
threads = [
    threading.Thread(target=lambda n=n: answers.append(requests.get(f"{FRONT}/{n}", timeout=5).json()["path"])) for n in range(20)
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert sorted(answers) == sorted(f"/{n}" for n in range(20))
took = time.monotonic() - began

# and so does Tornado's own client
async def fetches():
    client = AsyncHTTPClient()
    return [json.loads((await client.fetch(f"{FRONT}/x{n}")).body)["path"] for n in range(3)]


assert await_(fetches()) == ["/x0", "/x1", "/x2"]


# streams, used from threads
def uses_stream(number, trail):
    stream = await_(TCPClient().connect("127.0.0.1", echo_port))
    for turn in range(5):
        await_(lambda: stream.write(b"hello %d %d\n" % (number, turn)))  # noqa: B023
        assert await_(lambda: stream.read_until(b"\n")) == b"HELLO %d %d\n" % (number, turn)
        time.sleep(0.001)
    stream.close()
    trail.append(number)


trail = []
threads = [threading.Thread(target=uses_stream, args=(number, trail)) for number in range(20)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert sorted(trail) == list(range(20))
legacy.shutdown()
