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

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import READ, WRITE, compiled
from dhagapatch.core.entry import enter_methods
from dhagapatch.core.sync import deadline_of
from dhagapatch.green.attempts import held, once, once_writable
from dhagapatch.green.timeouts import make_blocking, make_nonblocking, user_timeout
from dhagapatch.green.waiting import resumptions, wait_socket

__all__ = ["Connection", "adopt", "wrap_socket"]

_wrap_socket = _real.pristine(_stdlib, "SSLContext").__base__._wrap_socket
_INSTANT = 1e-6  # seconds
_fileno, _gettimeout = _real.sock_fileno, _real.socket.gettimeout


class Connection:
    """The C object of one TLS socket, waiting cooperatively; everything else is passed on."""

    # _flows: whether a read has come through with data, since which nothing has ended or failed.  The compiled part looks
    # before a read whether there is anything; else OpenSSL may have something to do, or to say, though nothing has come.
    __slots__ = ("__weakref__", "_flows", "_native", "_sock")

    def __init__(self, native: Any, sock: Any) -> None:
        object.__setattr__(self, "_native", native)
        object.__setattr__(self, "_sock", sock)
        object.__setattr__(self, "_flows", False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._native, name, value)

    def read(self, *args: Any) -> Any:
        if len(args) == 2 and type(args[0]) is int:
            args = (args[0], once_writable(args[1], "read", 2))
        return self._do(self._native.read, args, True)

    def write(self, data: Any) -> Any:
        return self._do(self._native.write, (once(data),))

    def do_handshake(self) -> Any:
        return self._do(self._native.do_handshake, ())

    def verify_client_post_handshake(self) -> Any:
        _set_flows(self, False)  # the next read will ask for the certificate
        return self._native.verify_client_post_handshake()

    def shutdown(self) -> Any:
        _set_flows(self, False)
        peer = self._do(self._native.shutdown, ())
        sock = self._sock()
        if sock is not None:
            make_blocking(sock)
        return peer

    def _do(
        self, call: Callable[..., Any], args: tuple[Any, ...], reads: bool = False, direction: int = 0,
        deadline: float | None = -1.0, seen: int = 0,
    ) -> Any:  # fmt: skip
        """Call until it need not wait; `direction`: it was called, when the caller had been resumed `seen` times, and has to."""
        sock = self._sock()
        if sock is None:
            return self._try(call, args, reads)
        timeout = None
        if not direction:
            timeout = user_timeout(sock)
            if timeout == 0.0 or _fileno(sock) < 0:
                return self._try(call, args, reads)
        views: list[memoryview] = []
        try:
            while True:
                if not direction:
                    if _gettimeout(sock) is None:  # looked at each time: another dhaga may have set the timeout during the wait
                        make_nonblocking(sock)
                    seen = resumptions()
                    try:
                        return self._try(call, args, reads)
                    except _stdlib.SSLWantReadError:
                        direction = READ
                    except _stdlib.SSLWantWriteError:
                        direction = WRITE
                if deadline == -1.0:  # armed at the first wait: most calls come through at once
                    deadline = deadline_of(timeout)
                if not views:
                    args = held(args, views)
                fd = _fileno(sock)
                if fd >= 0 and not wait_socket(sock, fd, direction, deadline, seen):
                    return self._time_out(sock, call, args)
                if fd < 0 or _fileno(sock) != fd:
                    # HAZARD: closed while it waited; OpenSSL still has the number, which may be another socket's by now
                    raise OSError(errno.EBADF, os.strerror(errno.EBADF))
                direction = 0
        except BaseException:
            for view in views:  # the traceback would keep them
                view.release()
            raise

    def _try(self, call: Callable[..., Any], args: tuple[Any, ...], reads: bool) -> Any:
        try:
            result = call(*args)
        except _stdlib.SSLWantReadError:
            raise
        except BaseException:  # among them that it has something to write, which the next read would go on with
            _set_flows(self, False)
            raise
        if reads:
            _set_flows(self, bool(result))
        return result

    def _time_out(self, sock: Any, call: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Let the C method itself run out of time: the exception's words differ by call and version."""
        _set_flows(self, False)  # what it finds by now may be the end
        _real.sock_settimeout(sock, _INSTANT)
        try:
            return call(*args)
        finally:
            if _fileno(sock) >= 0:
                _real.sock_settimeout(sock, 0.0)


enter_methods(Connection, "read", "write", "do_handshake", "shutdown", "verify_client_post_handshake")
_set_flows = Connection._flows.__set__  # type: ignore[attr-defined]


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
