# run: -m dhagapatch
"""A Tornado application on the hub's loop beside threads: its handlers call legacy code, and threads use its streams."""

import time

import requests
import tornado.web
from shared.legacy import Backend, in_threads
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.iostream import StreamClosedError
from tornado.tcpclient import TCPClient
from tornado.tcpserver import TCPServer
from tornado.testing import bind_unused_port

import dhagapatch
from dhagapatch import await_, in_dhaga


backend = Backend()


class Handler(tornado.web.RequestHandler):
    async def get(self, path):
        assert IOLoop.current() is dhagapatch.get_hub().ioloop
        self.write(await in_dhaga(backend.ask, path))


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
assert in_threads(20, lambda n: requests.get(f"{FRONT}/{n}", timeout=5).text) == [f"/{n}" for n in range(20)]
assert backend.most > 1, backend.most

# and so does Tornado's own client
async def fetches():
    client = AsyncHTTPClient()
    return [(await client.fetch(f"{FRONT}/x{n}")).body.decode() for n in range(3)]


assert await_(fetches()) == ["/x0", "/x1", "/x2"]


# streams, used from threads
def uses_stream(number):
    stream = await_(TCPClient().connect("127.0.0.1", echo_port))
    for turn in range(5):
        await_(lambda: stream.write(b"hello %d %d\n" % (number, turn)))  # noqa: B023
        assert await_(lambda: stream.read_until(b"\n")) == b"HELLO %d %d\n" % (number, turn)
        time.sleep(0.001)
    stream.close()
    return number


assert in_threads(20, uses_stream) == list(range(20))
backend.close()
