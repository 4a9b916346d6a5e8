"""Echo over TCP: a server with a thread for each connection, and a client thread for each connection.

Server and clients share one process, so CPU time covers both sides. Each client sends a message, reads the echo,
compares it and sends the next; every connection has a message under way all the time. An operation is one round
trip: two sends and two receives. Connecting, starting the threads and the first round trips are not measured.

With `--timeout` every socket has a timeout, as careful programs set one; none of them ever runs out.
"""

from __future__ import annotations

import argparse
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # no launcher puts the checkout's folder there

from benchmarks.programs.stopwatch import Crowd, Stopwatch, allow_descriptors, report

BUFFER_BYTES = 65536
MESSAGES = 16  # different ones for each connection, in turn: an echo that is late or not one's own is seen
FIRST = 3  # round trips before the measured section

Wrap = Callable[[socket.socket], socket.socket]  # what is done to a new connection, on either side


def serve(connection: socket.socket, prepare: Wrap) -> None:
    """Echo until the client closes."""
    with prepare(connection) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := connection.recv(BUFFER_BYTES):
            connection.sendall(data)


def accept_all(listener: socket.socket, connections: int, prepare: Wrap) -> None:
    """Start a thread for each connection; wait until all have ended."""
    threads = []
    for _ in range(connections):
        connection, _ = listener.accept()
        thread = threading.Thread(target=serve, args=(connection, prepare))
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join()


def make_messages(number: int, size: int) -> list[bytes]:
    """The messages of client `number`, of `size` bytes each."""
    return [(f"{number}:{which};".encode() * size)[:size] for which in range(MESSAGES)]


def exchange(sock: socket.socket, messages: list[bytes], trips: int) -> None:
    """Make `trips` round trips; ValueError when an echo is not what was sent."""
    for trip in range(trips):
        message = messages[trip % MESSAGES]
        sock.sendall(message)
        echo = sock.recv(BUFFER_BYTES)
        while len(echo) < len(message):
            more = sock.recv(BUFFER_BYTES)
            if not more:
                raise ValueError(f"the connection ended at round trip {trip}")
            echo += more
        if echo != message:
            raise ValueError(f"bad echo at round trip {trip}: {echo[:40]!r} for {message[:40]!r}")


class Clients(Crowd):
    """The client threads."""

    def __init__(self, address: tuple[str, int], connections: int, trips: int, size: int, prepare: Wrap) -> None:
        super().__init__(connections)
        self.address = address
        self.prepare = prepare
        self.trips = trips
        self.size = size
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(connections)]

    def run(self, number: int) -> None:
        """One client: connect, wait for the others, exchange, close."""
        messages = make_messages(number, self.size)
        sock = None
        try:
            try:
                sock = self.prepare(socket.create_connection(self.address))
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                exchange(sock, messages, FIRST)
            finally:
                self.ready.count_down()
            self.go.wait()
            exchange(sock, messages, self.trips)
        except Exception as error:
            self.errors.append(f"client {number}: {error!r}")
        finally:
            self.done.count_down()
            if sock is not None:
                sock.close()


def arguments(text: str | None) -> argparse.ArgumentParser:
    """The options that every echo program has."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=100, help="connections at once (default 100)")
    parser.add_argument("--trips", type=int, default=300, help="round trips on each connection (default 300)")
    parser.add_argument("--size", type=int, default=100, help="bytes of a message (default 100)")
    return parser


def run(options: argparse.Namespace, on_server: Wrap, on_client: Wrap) -> int:
    """Serve and exchange, with connections prepared by the two functions; the exit code."""
    allow_descriptors(2 * options.connections + 100)
    watch = Stopwatch()
    with socket.create_server(("127.0.0.1", 0), backlog=options.connections + 16) as listener:
        accepting = (listener, options.connections, on_server)
        server = threading.Thread(target=accept_all, args=accepting, daemon=True)
        server.start()
        clients = Clients(listener.getsockname(), options.connections, options.trips, options.size, on_client)
        clients.measure(clients.threads, watch)
        if not clients.errors:  # a server that lacks a connection would wait for it for ever
            server.join()
    return report(options.connections * options.trips, watch, clients.errors)


def main() -> int:
    """Run the benchmark; the exit code."""
    parser = arguments(__doc__)
    parser.add_argument("--timeout", type=float, help="seconds, for every socket (default: none)")
    options = parser.parse_args()

    def prepare(sock: socket.socket) -> socket.socket:
        sock.settimeout(options.timeout)
        return sock

    return run(options, prepare, prepare)


if __name__ == "__main__":
    sys.exit(main())
