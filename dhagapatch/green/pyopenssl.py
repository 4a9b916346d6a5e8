"""pyOpenSSL: a `Connection` over a socket in blocking mode waits, where OpenSSL would hold the OS thread.

Its socket is put into non-blocking mode behind the user's back, as the standard library's TLS sockets are.  One with
a timeout is in that mode natively too, and raises WantReadError or WantWriteError: that stays, and so does a connection
without a socket.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from functools import wraps
from typing import Any

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import READ, WRITE
from dhagapatch.core.budget import CALL, charge
from dhagapatch.green.timeouts import make_nonblocking, user_timeout
from dhagapatch.green.waiting import resumptions, wait_socket

__all__ = ["sending_all", "waiting"]


def _is_blocking(sock: Any) -> bool:
    return isinstance(sock, socket.socket) and user_timeout(sock) is None and _real.sock_fileno(sock) >= 0


def waiting(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method, called again and again until it does not have to wait."""
    names = method.__globals__
    want_read, want_write = names["WantReadError"], names["WantWriteError"]

    @wraps(method)
    def waits(self: Any, *args: Any, **kwargs: Any) -> Any:
        sock = self._socket
        if not _is_blocking(sock):
            return method(self, *args, **kwargs)
        charge(CALL)
        while True:
            make_nonblocking(sock)  # each time: another dhaga may have set the timeout during the wait
            seen = resumptions()
            try:
                return method(self, *args, **kwargs)
            except want_read:
                direction = READ
            except want_write:
                direction = WRITE
            fd = _real.sock_fileno(sock)
            if fd >= 0:
                wait_socket(sock, fd, direction, None, seen)
            if fd < 0 or _real.sock_fileno(sock) != fd:
                # HAZARD: closed while it waited; OpenSSL still has the number, which may be another socket's by now
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    return waits


def sending_all(method: Callable[..., Any]) -> Callable[..., Any]:
    """`sendall` by way of `send`: called again, it would send again what has gone already."""

    @wraps(method)
    def sends_all(self: Any, buf: Any, flags: int = 0) -> Any:
        if not _is_blocking(self._socket):
            return method(self, buf, flags)
        rest = buf if isinstance(buf, str) else memoryview(buf).cast("B")
        sent = 0
        while sent < len(rest):
            sent += self.send(rest[sent:], flags)
        return sent

    return sends_all
