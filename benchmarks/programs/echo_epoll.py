"""The traffic of `echo.py`, written by hand on one epoll object: the least that it costs in Python.

Server and clients share one process and one loop, which calls a function for each descriptor that is readable: one
receive, one send. An operation is one round trip.
"""

from __future__ import annotations

import select
import socket
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `python prog.py` does not put the checkout's folder there

from benchmarks.programs.echo import BUFFER_BYTES, FIRST, MESSAGES, arguments, make_messages
from benchmarks.programs.stopwatch import Stopwatch, allow_descriptors, report

ROOM = 200  # connections that are made before they are served: fewer than any listener's backlog


class Loop:
    """One epoll object, and who is called for which descriptor."""

    def __init__(self) -> None:
        self.poller = select.epoll()
        self.handlers: dict[int, Callable[[], None]] = {}

    def add(self, sock: socket.socket, handler: Callable[[], None]) -> None:
        """Call `handler` whenever `sock` is readable."""
        sock.setblocking(False)
        self.handlers[sock.fileno()] = handler
        self.poller.register(sock.fileno(), select.EPOLLIN)

    def run(self, clients: Clients) -> None:
        """Call handlers until no client has a round trip left."""
        poll = self.poller.poll
        handlers = self.handlers
        while clients.left:
            for descriptor, _ in poll():
                handlers[descriptor]()


class Echo:
    """The server's end of a connection."""

    __slots__ = ("receive", "send", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.receive = sock.recv
        self.send = sock.send

    def on_readable(self) -> None:
        """Send back what came."""
        data = self.receive(BUFFER_BYTES)
        # one message for each connection is under way, which the kernel's buffer holds
        if self.send(data) != len(data):
            raise BlockingIOError("the buffer is full: use smaller messages")


class Client:
    """The client's end of a connection."""

    __slots__ = ("clients", "echo", "last", "message", "messages", "receive", "send", "sock", "trip")

    def __init__(self, clients: Clients, sock: socket.socket, messages: list[bytes]) -> None:
        self.clients = clients
        self.sock = sock
        self.receive = sock.recv
        self.send = sock.send
        self.messages = messages
        self.message = self.echo = b""
        self.trip = self.last = 0

    def start(self, trips: int) -> None:
        """Begin with `trips` round trips."""
        self.trip = 0
        self.last = trips
        self.say()

    def say(self) -> None:
        """Send the next message."""
        self.message = self.messages[self.trip % MESSAGES]
        self.echo = b""
        if self.send(self.message) != len(self.message):
            raise BlockingIOError("the buffer is full: use smaller messages")

    def on_readable(self) -> None:
        """Compare what came, send the next; ValueError when an echo is not what was sent."""
        data = self.receive(BUFFER_BYTES)
        if data != self.message:
            self.echo = data if not self.echo else self.echo + data
            if not data or not self.message.startswith(self.echo):
                raise ValueError(f"bad echo at round trip {self.trip}: {self.echo[:40]!r} for {self.message[:40]!r}")
            if len(self.echo) < len(self.message):
                return
        self.trip += 1
        if self.trip < self.last:
            self.say()
        else:
            self.clients.left -= 1


class Clients:
    """All clients of a process."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.members: list[Client] = []
        self.left = 0  # clients that have round trips to make

    def connect(self, address: tuple[str, int], numbers: range, size: int) -> None:
        """Make a connection for each number."""
        for number in numbers:
            sock = socket.create_connection(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client = Client(self, sock, make_messages(number, size))
            self.loop.add(sock, client.on_readable)
            self.members.append(client)

    def exchange(self, trips: int, members: list[Client] | None = None) -> None:
        """Make `trips` round trips on each connection, or on those of `members`."""
        members = self.members if members is None else members
        self.left = len(members)
        for client in members:
            client.start(trips)
        self.loop.run(self)


def main() -> int:
    """Run the benchmark; the exit code."""
    options = arguments(__doc__).parse_args()
    allow_descriptors(2 * options.connections + 100)
    loop = Loop()
    clients = Clients(loop)
    watch = Stopwatch()
    errors = []
    with socket.create_server(("127.0.0.1", 0), backlog=ROOM) as listener:

        def on_connection() -> None:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            loop.add(connection, Echo(connection).on_readable)

        loop.add(listener, on_connection)
        try:
            for first in range(0, options.connections, ROOM):
                numbers = range(first, min(first + ROOM, options.connections))
                clients.connect(listener.getsockname(), numbers, options.size)
                clients.exchange(FIRST, clients.members[first:])
            watch.start()
            clients.exchange(options.trips)
            watch.stop()
        except (ValueError, OSError) as error:
            errors.append(repr(error))
    return report(options.connections * options.trips, watch, errors)


if __name__ == "__main__":
    sys.exit(main())
