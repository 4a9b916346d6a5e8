"""requests, imported and used before the patch, runs on dhagas after it, with a server that was started natively."""

import http.server
import threading
import time

import requests

go = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        time.sleep(0.2)
        body = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_address[1]}"
session = requests.Session()
assert session.get(f"{url}/native").text == "/native"

import dhagapatch

dhagapatch.patch_all()
texts = []


def fetch(n):
    with requests.Session() as own:
        texts.extend([own.get(f"{url}/{n}").text, session.get(f"{url}/shared{n}").text])


start = time.monotonic()
threads = [threading.Thread(target=fetch, args=(n,)) for n in range(5)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert sorted(texts) == sorted([f"/{n}" for n in range(5)] + [f"/shared{n}" for n in range(5)])
assert time.monotonic() - start < 1.2, time.monotonic() - start
