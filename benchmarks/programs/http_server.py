"""A `ThreadingHTTPServer` with keep-alive and one small page, for clients in other processes.

It prints its port and that of its status, and ends when the connection to the latter ends.
"""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # no launcher puts the checkout's folder there

from benchmarks.programs.status import Status

PAGE = b"all is well\n" * 10


class Handler(BaseHTTPRequestHandler):
    """Answers GET with the page, and keeps the connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and page in one piece

    def do_GET(self) -> None:
        """The page."""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a line on standard error for each request is not what is measured."""


class Server(ThreadingHTTPServer):
    """With room for many clients that come at once."""

    request_queue_size = 1024

    def server_bind(self) -> None:
        """Without looking up the host's name, which may take seconds where there is no DNS."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that break off: load generators do so at their end."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def start_server() -> Server:
    """A server on a free port, its acceptor in a thread."""
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def main() -> int:
    """Serve; the exit code."""
    status = Status()
    server = start_server()
    status.announce(server.server_port)
    status.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
