"""A `ThreadingHTTPServer` and client threads that keep their connections, in one process. An operation is one GET.

The clients are `http.client`; with `--session` each thread has a session of requests instead.
"""

from __future__ import annotations

import argparse
import http.client
import importlib
import sys
import threading
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # no launcher puts the checkout's folder there

from benchmarks.programs.http_server import PAGE, start_server
from benchmarks.programs.stopwatch import Crowd, Stopwatch, report

FIRST = 2  # requests before the measured section

Fetch = Callable[[], tuple[int, bytes]]  # the status and the page of one GET


def by_http_client(port: int) -> Fetch:
    """Requests on a connection of the standard library's client."""
    connection = http.client.HTTPConnection("127.0.0.1", port)

    def fetch() -> tuple[int, bytes]:
        connection.request("GET", "/")
        with connection.getresponse() as response:
            return response.status, response.read()

    return fetch


def by_session(port: int) -> Fetch:
    """Requests of a session of requests."""
    # by name, so that the program runs without it, too
    session = importlib.import_module("requests").Session()
    session.trust_env = False  # proxies would be looked up in the environment for each request

    def fetch() -> tuple[int, bytes]:
        response = session.get(f"http://127.0.0.1:{port}/")
        return response.status_code, response.content

    return fetch


class Clients(Crowd):
    """The client threads."""

    def __init__(self, port: int, clients: int, gets: int, client: Callable[[int], Fetch]) -> None:
        super().__init__(clients)
        self.port = port
        self.gets = gets
        self.client = client

    def run(self) -> None:
        """One client: connect, wait for the others, fetch."""
        try:
            try:
                fetch = self.client(self.port)
                for _ in range(FIRST):
                    fetch()
            finally:
                self.ready.count_down()
            self.go.wait()
            for _ in range(self.gets):
                if (answer := fetch()) != (200, PAGE):
                    raise ValueError(f"bad answer {answer}")
        except Exception as error:
            self.errors.append(repr(error))
        finally:
            self.done.count_down()


def main() -> int:
    """Run the benchmark; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=100, help="client threads (default 100)")
    parser.add_argument("--gets", type=int, default=30, help="requests of each (default 30)")
    parser.add_argument("--session", action="store_true", help="fetch by requests")
    options = parser.parse_args()
    server = start_server()
    clients = Clients(server.server_port, options.clients, options.gets, by_session if options.session else by_http_client)
    threads = [threading.Thread(target=clients.run) for _ in range(options.clients)]
    watch = Stopwatch()
    clients.measure(threads, watch)
    return report(options.clients * options.gets, watch, clients.errors)


if __name__ == "__main__":
    sys.exit(main())
