"""`echo_server.py`, written by hand on one epoll object: the least that a server's side costs in Python."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `python prog.py` does not put the checkout's folder there

from benchmarks.programs.echo_epoll import Echo, Loop
from benchmarks.programs.status import serve_until_told


class Closing(Echo):
    """The server's end of a connection that may end at any time."""

    __slots__ = ("loop",)

    def __init__(self, loop: Loop, sock: socket.socket) -> None:
        super().__init__(sock)
        self.loop = loop

    def on_readable(self) -> None:
        """Send back what came; forget the connection at its end."""
        data = self.receive(65536)
        if not data:
            del self.loop.handlers[self.sock.fileno()]
            self.sock.close()
        elif self.send(data) != len(data):
            raise BlockingIOError("the buffer is full: use smaller messages")


def serve(listener: socket.socket) -> None:
    """Echo for ever."""
    loop = Loop()

    def on_connection() -> None:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop.add(connection, Closing(loop, connection).on_readable)

    loop.add(listener, on_connection)
    poll = loop.poller.poll
    handlers = loop.handlers
    while True:
        for descriptor, _ in poll():
            handlers[descriptor]()


if __name__ == "__main__":
    sys.exit(serve_until_told(serve, __doc__))
