"""A server that can be asked what it has cost so far, for drivers in other processes. Standard library only.

It listens on a second port, for one connection: each line that comes in is answered by one line of JSON. When the
connection ends, so should the server.
"""

from __future__ import annotations

import argparse
import json
import socket
import threading
import time
from collections.abc import Callable

from benchmarks.programs.stopwatch import allow_descriptors, peak_rss_bytes, rss_bytes


class Status:
    """The second port, and the thread that answers there."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        threading.Thread(target=self._answer, daemon=True).start()

    def announce(self, port: int) -> None:
        """Tell whoever started the program both ports, in one line."""
        print(json.dumps({"port": port, "status": self._listener.getsockname()[1]}), flush=True)

    def wait(self) -> None:
        """Block until the driver has gone."""
        self._over.wait()

    def _answer(self) -> None:
        try:
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rw", encoding="ascii") as stream:
                while stream.readline():
                    now = {
                        "cpu_seconds": time.process_time(),
                        "rss_bytes": rss_bytes(),
                        "peak_rss_bytes": peak_rss_bytes(),
                    }
                    stream.write(json.dumps(now) + "\n")
                    stream.flush()
        finally:
            self._over.set()


def serve_until_told(serve: Callable[[socket.socket], None], text: str | None) -> int:
    """`main` of a server program: `serve` in a thread, with a listener, until the driver has gone; the exit code."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=100, help="most connections at once (default 100)")
    options = parser.parse_args()
    allow_descriptors(options.connections + 100)
    status = Status()
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        status.announce(listener.getsockname()[1])
        status.wait()
    return 0
