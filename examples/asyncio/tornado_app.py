"""A Tornado application whose handlers call legacy blocking code: python examples/asyncio/tornado_app.py [port]

The legacy code is a threaded HTTP server and a client that blocks (`urllib`).  All of it, Tornado's handlers, the server's
threads and the clients' calls, runs on one OS thread.
"""

import http.server
import json
import sys
import threading
import time
import urllib.request

import dhagapatch

dhagapatch.patch_all()

import tornado.httpserver  # noqa: E402
import tornado.netutil  # noqa: E402
import tornado.web  # noqa: E402


class Stock(http.server.BaseHTTPRequestHandler):
    """The legacy server: it takes its time, in a thread for each request."""

    def do_GET(self):
        time.sleep(0.1)
        body = json.dumps({"item": self.path.strip("/"), "left": len(self.path), "thread": threading.get_ident()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def left_in_stock(address, item):
    """Legacy code: it blocks, and knows nothing of Tornado."""
    with urllib.request.urlopen(f"http://{address[0]}:{address[1]}/{item}", timeout=5) as answer:
        return json.load(answer)


class StockHandler(tornado.web.RequestHandler):
    """Tornado's side: coroutines."""

    def initialize(self, address):
        self.address = address

    async def get(self, item):
        self.write(await dhagapatch.in_dhaga(left_in_stock, self.address, item))


class Health(tornado.web.RequestHandler):
    """Answers at once, whatever the legacy code waits for."""

    def get(self):
        self.write("ok")


def serve(port=0):
    """Start both; the address of the application."""
    legacy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stock)
    legacy.daemon_threads = True
    threading.Thread(target=legacy.serve_forever, daemon=True).start()
    handlers = [(r"/stock/(\w+)", StockHandler, {"address": legacy.server_address}), (r"/health", Health)]

    async def start():
        sockets = tornado.netutil.bind_sockets(port, "127.0.0.1")
        tornado.httpserver.HTTPServer(tornado.web.Application(handlers)).add_sockets(sockets)
        return sockets[0].getsockname()

    return dhagapatch.await_(start)


def main(port):
    address = serve(port)
    print(f"http://{address[0]}:{address[1]}/stock/apples", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8888)
