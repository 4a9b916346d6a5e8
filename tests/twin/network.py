"""What the bodies about the network share: pairs of sockets, and threads that hand on their outcome."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

SHORT = 0.03  # seconds: a timeout that is meant to pass


class Task:
    """A thread that runs one call; `note` waits for it and adds its outcome to a transcript."""

    def __init__(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self.value: Any = None
        self.raised: BaseException | None = None

        def run() -> None:
            try:
                self.value = call(*args, **kwargs)
            except BaseException as error:
                self.raised = error

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def join(self) -> Any:
        """The call's value, or None if it raised."""
        self.thread.join(10)
        assert not self.thread.is_alive(), "it hangs"
        return self.value

    def note(self, t: Any, label: str) -> None:
        """Wait for the call, and add what came of it."""
        self.join()
        if self.raised is not None:
            t.error(label, self.raised)
        else:
            t.note(label, "->", self.value)


def let_it_block() -> None:
    """Give another thread the time to block in its call; only the path taken depends on it, never the outcome."""
    time.sleep(0.01)


def tcp_pair(host: str = "127.0.0.1") -> tuple[socket.socket, socket.socket]:
    """Two connected TCP sockets."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        client = socket.create_connection(listener.getsockname()[:2])
        return client, listener.accept()[0]


def fill(sock: socket.socket) -> int:
    """Send until there is no room, and none comes by itself; the count of bytes."""
    timeout = sock.gettimeout()
    sock.setblocking(False)
    count, before = 0, -1
    while count > before:
        before = count
        try:
            while True:
                count += sock.send(bytes(65536))
        except BlockingIOError:
            let_it_block()  # the kernel may move some to the other side meanwhile
    sock.settimeout(timeout)
    return count


def receive_all(sock: socket.socket) -> bytes:
    """All that comes until the end of the stream."""
    parts = []
    while data := sock.recv(65536):
        parts.append(data)
    return b"".join(parts)


def closed_port(kind: int = socket.SOCK_STREAM) -> int:
    """A port of the loopback interface at which nobody listens."""
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
