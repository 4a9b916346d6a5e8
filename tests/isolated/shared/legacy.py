"""A server with a thread for each connection, its client, and many threads at once: code that knows of no loop."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable
from typing import Any

import requests

__all__ = ["Backend", "in_threads"]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Backend

    def do_GET(self) -> None:
        self.server.begin()
        time.sleep(0.05)
        self.server.end()
        body = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Backend(http.server.ThreadingHTTPServer):
    """Answers with the path, after 0.05 s; serves from the start, until `close`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.running = self.most = 0  # requests at once
        self._counting = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)
        self._thread.start()

    def begin(self) -> None:
        with self._counting:
            self.running += 1
            self.most = max(self.most, self.running)

    def end(self) -> None:
        with self._counting:
            self.running -= 1

    def ask(self, item: object) -> str:
        """What a client that blocks is told: the path."""
        return requests.get(f"http://127.0.0.1:{self.server_port}/{item}", timeout=10).text

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


def in_threads(count: int, function: Callable[[int], Any]) -> list[Any]:
    """What `function` returned for each number, each in a thread; an exception where it raised one."""
    answers: list[Any] = [None] * count

    def body(number: int) -> None:
        try:
            answers[number] = function(number)
        except Exception as error:
            answers[number] = error

    threads = [threading.Thread(target=body, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
