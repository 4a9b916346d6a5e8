"""TLS: `SSLSocket` stays the standard library's; the C object that it reads and writes through is wrapped.

The C object blocks, or not, as its socket's C-level timeout says; here the socket is in non-blocking mode, and a
`Connection` waits on its behalf.  `SSLContext._wrap_socket` makes it, so contexts made before the patch follow.
`SSLObject` (over memory buffers) never waits and is left alone.
"""

from __future__ import annotations

import errno
import os
import ssl as _stdlib
import weakref
from collections.abc import Callable
from typing import Any

from greenlet import getcurrent

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import READ, WRITE, compiled
from dhagapatch.core.hub import Hub, parking_hub
from dhagapatch.core.sync import deadline_of
from dhagapatch.green.timeouts import make_blocking, make_nonblocking, user_timeout
from dhagapatch.green.waiting import wait_socket

__all__ = ["Connection", "adopt", "wrap_socket"]

_wrap_socket = _stdlib.SSLContext.__base__._wrap_socket  # type: ignore[union-attr]
_INSTANT = 1e-6  # seconds
_is_empty = getattr(compiled.speedups, "is_empty", None)  # in Python the look costs as much as it saves
_fileno, _gettimeout = _real.sock_fileno, _real.socket.gettimeout


class Connection:
    """The C object of one TLS socket, waiting cooperatively; everything else is passed on."""

    __slots__ = ("__weakref__", "_native", "_sock")

    def __init__(self, native: Any, sock: Any) -> None:
        object.__setattr__(self, "_native", native)
        object.__setattr__(self, "_sock", sock)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._native, name, value)

    def read(self, *args: Any) -> Any:
        # what is wrong, or nothing, or goes into what may be neither, is not waited for
        plain = len(args) == 1 or (len(args) == 2 and type(args[1]) in (bytearray, memoryview) and len(args[1]) > 0)
        return self._do(self._native.read, args, reads=plain and type(args[0]) is int and args[0] > 0)

    def write(self, data: Any) -> Any:
        return self._do(self._native.write, (data,))

    def do_handshake(self) -> Any:
        return self._do(self._native.do_handshake, ())

    def shutdown(self) -> Any:
        peer = self._do(self._native.shutdown, ())
        sock = self._sock()
        if sock is not None:
            make_blocking(sock)
        return peer

    def _do(
        self, call: Callable[..., Any], args: Any, reads: bool = False, direction: int = 0, deadline: float | None = -1.0
    ) -> Any:
        """Call until it need not wait; `direction`: it was called, and has to."""
        sock = self._sock()
        if sock is None:
            return call(*args)
        timeout = user_timeout(sock)
        if timeout == 0.0 or _fileno(sock) < 0:
            return call(*args)
        try:
            hub = getcurrent().hub
        except (AttributeError, RuntimeError):  # not known yet, or the interpreter's last moments
            hub = parking_hub()
        if hub is not None:
            hub.fuel -= 1
            if hub.fuel < 0:
                hub.rest()
        if reads and hub is not None and self._must_wait(hub, sock):
            direction = READ
        while True:
            if not direction:
                if _gettimeout(sock) is None:  # looked at each time: another dhaga may have set the timeout during the wait
                    make_nonblocking(sock)
                try:
                    return call(*args)
                except _stdlib.SSLWantReadError:
                    direction = READ
                except _stdlib.SSLWantWriteError:
                    direction = WRITE
            if deadline == -1.0:  # armed at the first wait: most calls come through at once
                deadline = deadline_of(timeout)
            fd = _fileno(sock)
            if fd >= 0 and not wait_socket(sock, fd, direction, deadline):
                return self._time_out(sock, call, args)
            if fd < 0 or _fileno(sock) != fd:
                # HAZARD: closed while it waited; OpenSSL still has the number, which may be another socket's by now
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            direction = 0

    def _must_wait(self, hub: Hub, sock: Any) -> bool:
        """Whether nothing is there to be read, by the kernel's word: a try would fail, at ten times the cost of that look.

        HAZARD: nor has the end come, of which there is no byte: it was reported (sticky), or its edge is still to be seen.
        """
        if _is_empty is None:
            return False
        fd = _fileno(sock)
        entry = hub.entries.get(fd)
        if entry is None or not entry.registered or entry.sticky or hub.netpoll.one_shot:
            return False
        return not self._native.pending() and _is_empty(fd)

    @staticmethod
    def _time_out(sock: Any, call: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Let the C method itself run out of time: the exception's words differ by call and version."""
        _real.sock_settimeout(sock, _INSTANT)
        try:
            return call(*args)
        finally:
            if _fileno(sock) >= 0:
                _real.sock_settimeout(sock, 0.0)


def wrap_socket(
    self: Any, sock: Any, server_side: bool, server_hostname: Any = None, *, owner: Any = None, session: Any = None
) -> Any:
    native = _wrap_socket(self, sock, server_side, server_hostname, owner=owner, session=session)
    return adopt(native, sock)


def adopt(native: Any, sock: Any) -> Connection:
    """Wrap the C object of a TLS socket that exists."""
    return Connection(native, weakref.ref(sock))


if compiled.speedups is not None:
    compiled.put(Connection, compiled.speedups.setup_tls({
        "Connection": Connection, "read": Connection.read, "write": Connection.write, "do": Connection._do,
        "time_out": Connection._time_out, "make_nonblocking": make_nonblocking, "want_read": _stdlib.SSLWantReadError,
        "want_write": _stdlib.SSLWantWriteError,
    }))  # fmt: skip
