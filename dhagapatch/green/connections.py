"""Cooperative methods of `socket.socket` for connections and for the life of a socket: accept, connect, bind, close.

The kernel has no flag for "do not wait" here: the mode is changed for the moment of the call.
"""

from __future__ import annotations

import _socket
import errno
import os
import socket as _stdlib
from collections.abc import Callable
from typing import Any

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch._real import pristine
from dhagapatch.core import READ, WRITE
from dhagapatch.core.descriptors import forget_descriptor, renew_descriptor, wake_all
from dhagapatch.core.hub import all_hubs, hub_for_wait
from dhagapatch.core.own import refuse_own
from dhagapatch.core.sync import deadline_of
from dhagapatch.green.attempts import again, await_drained, is_stream
from dhagapatch.green.resolve import resolve_address
from dhagapatch.green.timeouts import (
    adopt_timeout,
    drop_hidden,
    is_hidden,
    make_blocking,
    make_nonblocking,
    user_timeout,
)
from dhagapatch.green.waiting import is_ready, resumptions, sleep_until, wait_socket

__all__ = ["accept", "bind", "connect", "connect_ex", "detach", "note_sharing", "real_close", "socket_init"]

_C = _real.socket
_fileno = _C.fileno
_gettimeout = _C.gettimeout
_settimeout = _C.settimeout
_family = _C.family.__get__
_init = pristine(_stdlib, "socket.__init__")


class _Mode:
    """The socket in non-blocking mode for the moment of one call, if it was in blocking mode.

    Meanwhile the user's timeout is kept apart, so that a native thread is not misled by the C object's.
    """

    __slots__ = ("restore", "sock")

    def __init__(self, sock: Any) -> None:
        self.sock = sock

    def __enter__(self) -> None:
        sock = self.sock
        # not what fcntl made non-blocking: it is to stay so
        self.restore = _gettimeout(sock) is None and (fd := _fileno(sock)) >= 0 and _real.os_get_blocking(fd)
        if self.restore:
            make_nonblocking(sock)

    def __exit__(self, *exc_info: object) -> None:
        if self.restore:
            make_blocking(self.sock)


_is_shared = False  # whether other processes, or other OS threads, may accept from our listeners


def note_sharing() -> None:
    """From now on a listener may be another's too: a process was forked, or a native thread accepts."""
    global _is_shared
    _is_shared = True


def _accept_once(sock: Any) -> Any:
    if _is_shared and _gettimeout(sock) is None and _fileno(sock) >= 0:
        # HAZARD: the mode belongs to the listener, not to us: whoever sets it back to blocking does so between another's
        # look and its accept, and that one then blocks its whole thread.  A shared listener stays non-blocking.
        make_nonblocking(sock)
        return _C._accept(sock)
    with _Mode(sock):
        return _C._accept(sock)


def accept(self: Any, /) -> Any:
    hub = hub_for_wait()
    started = None
    if hub is not None:
        entry = hub.entries.get(_fileno(self))
        if entry is not None and not entry.readable:
            started = await_drained(self, hub, entry, READ)
    elif all_hubs():
        note_sharing()
    elif not is_hidden(self):
        return _C._accept(self)
    seen = resumptions()
    try:
        return _accept_once(self)
    except BlockingIOError:
        if user_timeout(self) == 0.0:
            raise
    return again(self, READ, _accept_once, (), seen, started=started)


_UNIX_FULL = (0.001, 0.05)  # seconds: how often a UNIX listener with a full queue is tried


_RAN_OUT = -1  # in place of an error number


def _connect_once(sock: Any, address: Any, call: Callable[..., Any]) -> int:
    with _Mode(sock):
        try:
            return call(sock, address) or 0
        except OSError as error:
            if error.errno is None or isinstance(error, _socket.gaierror):
                raise
            return error.errno


def _connect(sock: Any, address: Any, call: Callable[..., Any]) -> int:
    """Connect by the C method `call`; 0, an error number, or `_RAN_OUT`. What it raises (a bad address) is raised."""
    timeout = user_timeout(sock)
    if timeout == 0.0 or (hub_for_wait() is None and not is_hidden(sock)):
        return call(sock, address) or 0
    address = resolve_address(sock, address)
    deadline = deadline_of(timeout)
    pause = _UNIX_FULL[0]
    code = _connect_once(sock, address, call)
    while code == errno.EAGAIN and deadline is None and _family(sock) == _socket.AF_UNIX:
        # the listener's queue is full, and the kernel has no event for its coming free
        sleep_until(_real.monotonic() + pause)
        pause = min(pause * 2, _UNIX_FULL[1])
        code = _connect_once(sock, address, call)
    if code == errno.EALREADY and timeout is not None:
        return code  # another call has begun it: natively only a socket without a timeout waits for that
    while code in (errno.EINPROGRESS, errno.EALREADY, errno.EINTR):
        fd = _fileno(sock)
        if fd < 0:
            return errno.EBADF
        renew_descriptor(fd)  # what was known of the unconnected socket (a hang-up) counts no more
        # it is registered afresh, which tells what there is by now
        if not wait_socket(sock, fd, WRITE, deadline, resumptions(), is_stream(sock)):
            return _RAN_OUT
        if _fileno(sock) < 0:
            return errno.EBADF
        # HAZARD: a blocking connect leaves the socket "connected", or "unconnected" after an error, and a second call
        # finds it so; after a call that did not block, the kernel learns of the outcome only by one more call.  With a
        # timeout the C method does not make that call, but asks for the error; so a second connect succeeds there.
        if timeout is None:
            code = _connect_once(sock, address, call)
            if code == errno.EISCONN:
                return 0
        elif is_ready(fd, WRITE):  # else it was woken by a stale hint
            return _C.getsockopt(sock, _socket.SOL_SOCKET, _socket.SO_ERROR)
    return code


def connect(self: Any, address: Any, /) -> None:
    code = _connect(self, address, _C.connect)
    if code == _RAN_OUT:
        raise TimeoutError("timed out")
    if code:
        raise OSError(code, os.strerror(code))
    return None


def bind(self: Any, address: Any, /) -> None:
    return _C.bind(self, resolve_address(self, address))


def connect_ex(self: Any, address: Any, /) -> int:
    code = _connect(self, address, _C.connect_ex)
    return errno.EWOULDBLOCK if code == _RAN_OUT else code


# life


def socket_init(self: Any, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:
    refuse_own(fileno)
    _init(self, family, type, proto, fileno)
    fd = _fileno(self)
    # HAZARD: the number may have belonged to a socket that was collected, detached or closed by C code
    renew_descriptor(fd)
    drop_hidden(self)  # what is known is of a socket that is gone; or this is a second `__init__`
    if _gettimeout(self):
        adopt_timeout(self)


def real_close(self: Any, _ss: Any = _C) -> None:
    waiting = forget_descriptor(_fileno(self))
    _C.close(self)
    wake_all(waiting)


def detach(self: Any, /) -> int:
    self._closed = True
    make_blocking(self)  # whoever gets the descriptor expects it so
    waiting = forget_descriptor(_fileno(self))
    fd = _C.detach(self)
    wake_all(waiting)
    return fd
