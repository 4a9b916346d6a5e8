"""Cooperative methods for `socket.socket`, set on the class in place.

A socket stays in its blocking mode: calls that take flags are made with MSG_DONTWAIT; where the kernel has no
such flag (accept, connect) the mode is changed for the moment of the call.  A socket with a timeout is in
non-blocking mode natively too; there the C object is told "non-blocking" and the user's timeout is kept here,
because the C method would first block in poll(2) itself.  A socket that the user made non-blocking is passed
straight through.

Who wakes a waiter: the netpoll's edge, or `close`/`detach` (then the call is tried once more and raises what
the operating system says).  Who takes it off: `wait_entry`, on timeout and on any exception.
"""

from __future__ import annotations

import _socket
import errno
import os
import socket as _stdlib
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

from greenlet import getcurrent

from dhagapatch import _real
from dhagapatch.core import READ, WRITE, Entry
from dhagapatch.core.hub import forget_descriptor, hub_for_wait, renew_descriptor, wait_entry, wake_all
from dhagapatch.core.sync import deadline_of
from dhagapatch.green.resolve import resolve_address
from dhagapatch.green.waiting import current_hub, sleep_until, wait_socket

__all__ = ["adopt_timeout", "make_nonblocking", "restore_timeout", "user_timeout"]

_C = _real.socket
_fileno = _C.fileno
_gettimeout = _C.gettimeout
_settimeout = _C.settimeout
_recv = _C.recv
_recv_into = _C.recv_into
_send = _C.send
_DONTWAIT = _socket.MSG_DONTWAIT
_PASS = _socket.MSG_DONTWAIT | getattr(_socket, "MSG_ERRQUEUE", 0) | _socket.MSG_OOB
_INET = (_socket.AF_INET, _socket.AF_INET6)
_family = _C.family.__get__
_type = _C.type.__get__
_init = _stdlib.socket.__init__

# The timeouts that the C objects don't know of: by the identity of the socket object, with a weak reference
# whose callback takes the item out before the identity can be used again.
_timeouts: dict[int, tuple[float | None, weakref.ref[Any]]] = {}


def _set_hidden(sock: Any, timeout: float | None) -> None:
    key = id(sock)
    known = _timeouts.get(key)
    reference = known[1] if known else weakref.ref(sock, partial(_drop_hidden, key))
    _timeouts[key] = (timeout, reference)


def _drop_hidden(key: int, _: object) -> None:
    _timeouts.pop(key, None)


def user_timeout(sock: Any) -> float | None:
    """The timeout that the user set, in seconds."""
    known = _timeouts.get(id(sock))
    return known[0] if known is not None else _gettimeout(sock)


def adopt_timeout(sock: Any) -> None:
    """A socket that has a timeout in its C object: keep the timeout here instead."""
    timeout = _gettimeout(sock)
    if timeout:
        _set_hidden(sock, timeout)
        _settimeout(sock, 0.0)


def restore_timeout(sock: Any) -> None:
    """The way back, for `unpatch_all`."""
    known = _timeouts.pop(id(sock), None)
    if known is not None and _fileno(sock) >= 0:
        _settimeout(sock, known[0])


def make_nonblocking(sock: Any) -> None:
    """For TLS, which has no call that takes a flag: from now on, with the user's timeout kept here."""
    if _gettimeout(sock) is None:
        _set_hidden(sock, None)
        _settimeout(sock, 0.0)


def _is_stream(sock: Any) -> bool:
    # HAZARD: a short read of a UNIX socket may have stopped at a descriptor in the stream, with more behind it
    return _type(sock) == _socket.SOCK_STREAM and _family(sock) in _INET


def _again(sock: Any, direction: int, call: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """`call` would have blocked: wait and call until it does not.

    Never called inside an `except`: what it raises must have no context, as natively.
    """
    deadline = deadline_of(user_timeout(sock))
    stream = _is_stream(sock)
    while True:
        fd = _fileno(sock)
        if fd >= 0 and not wait_socket(sock, fd, direction, deadline, stream):
            raise TimeoutError("timed out")
        try:
            return call(sock, *args)
        except BlockingIOError:
            pass


def _await_drained(sock: Any, hub: Any, entry: Entry, direction: int) -> float | None:
    """The descriptor is known not to be ready: park at once, without trying and failing first.

    Not for the user's own non-blocking socket.  The deadline, for the calls that go on waiting.
    """
    timeout = user_timeout(sock)
    if timeout == 0.0:
        return None
    deadline = deadline_of(timeout)
    if not wait_entry(hub, entry, direction, deadline):
        raise TimeoutError("timed out")
    return deadline


def _call(sock: Any, direction: int, call: Callable[..., Any], args: tuple[Any, ...], flags: int) -> Any:
    """One call that takes `flags` as the argument at the place of None in `args`."""
    if flags & _PASS:
        return call(sock, *(flags if arg is None else arg for arg in args))
    args = tuple(flags | _DONTWAIT if arg is None else arg for arg in args)
    hub = current_hub()
    if hub is not None:
        entry = hub.entries.get(_fileno(sock))
        if entry is not None and not (entry.readable if direction == READ else entry.writable):
            _await_drained(sock, hub, entry, direction)
    try:
        return call(sock, *args)
    except BlockingIOError:
        if user_timeout(sock) == 0.0:
            raise
    return _again(sock, direction, call, args)


# receiving


def _entry(sock: Any) -> Entry | None:
    """What is known of the socket's descriptor here, after a wait: the short-read rule applies to that read too.

    Without it the flag would stay up, and each read would try and fail before it parks.
    """
    hub = current_hub()
    return hub.entries.get(_fileno(sock)) if hub is not None else None


def recv(self: Any, buffersize: int, flags: int = 0, /) -> bytes:
    if flags:
        return _recv_flags(self, _recv, buffersize, flags)
    try:
        hub = getcurrent().hub
    except AttributeError:
        hub = current_hub()
    entry = None
    if hub is not None:
        entry = hub.entries.get(_fileno(self))
        if entry is not None and not entry.readable and buffersize > 0:
            _await_drained(self, hub, entry, READ)
    try:
        data = _recv(self, buffersize, _DONTWAIT)
    except BlockingIOError:
        if user_timeout(self) == 0.0:
            raise
        data = None
    if data is None:
        data = _again(self, READ, _recv, (buffersize, _DONTWAIT))
        entry = _entry(self)
    if entry is not None and 0 < len(data) < buffersize and entry.stream and not entry.sticky:
        entry.readable = False
    return data


def recv_into(self: Any, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
    if flags:
        return _recv_flags(self, _recv_into, buffer, flags, nbytes)
    try:
        hub = getcurrent().hub
    except AttributeError:
        hub = current_hub()
    entry = None
    if hub is not None:
        entry = hub.entries.get(_fileno(self))
        if entry is not None and not entry.readable:
            _await_drained(self, hub, entry, READ)
    try:
        count = _recv_into(self, buffer, nbytes, _DONTWAIT)
    except BlockingIOError:
        if user_timeout(self) == 0.0:
            raise
        count = -1
    if count < 0:
        count = _again(self, READ, _recv_into, (buffer, nbytes, _DONTWAIT))
        entry = _entry(self)
    if entry is not None and entry.stream and not entry.sticky and 0 < count < (nbytes or memoryview(buffer).nbytes):
        entry.readable = False
    return count


def _recv_flags(sock: Any, call: Callable[..., Any], first: Any, flags: int, *middle: int) -> Any:
    """recv and recv_into with flags; MSG_WAITALL, which MSG_DONTWAIT would undo, is a loop."""
    if not flags & _socket.MSG_WAITALL or flags & (_PASS | _socket.MSG_PEEK) or user_timeout(sock) == 0.0:
        return _call(sock, READ, call, (first, *middle, None), flags)
    flags &= ~_socket.MSG_WAITALL
    if call is _recv:
        buffer = bytearray(first)
        return bytes(buffer[: _recv_all(sock, memoryview(buffer), flags)])
    view = memoryview(first).cast("B")
    return _recv_all(sock, view[: middle[0] or None] if middle else view, flags)


def _recv_all(sock: Any, view: memoryview, flags: int) -> int:
    done = 0
    while done < len(view):
        got = _call(sock, READ, _recv_into, (view[done:], 0, None), flags)
        if not got:
            break
        done += got
    return done


def recvfrom(self: Any, buffersize: int, flags: int = 0, /) -> Any:
    return _call(self, READ, _C.recvfrom, (buffersize, None), flags)


def recvfrom_into(self: Any, buffer: Any, nbytes: int = 0, flags: int = 0) -> Any:
    return _call(self, READ, _C.recvfrom_into, (buffer, nbytes, None), flags)


def recvmsg(self: Any, bufsize: int, ancbufsize: int = 0, flags: int = 0, /) -> Any:
    return _call(self, READ, _C.recvmsg, (bufsize, ancbufsize, None), flags)


def recvmsg_into(self: Any, buffers: Any, ancbufsize: int = 0, flags: int = 0, /) -> Any:
    return _call(self, READ, _C.recvmsg_into, (list(buffers), ancbufsize, None), flags)


# sending


def send(self: Any, data: Any, flags: int = 0, /) -> int:
    if flags & _PASS:
        return _send(self, data, flags)
    try:
        hub = getcurrent().hub
    except AttributeError:
        hub = current_hub()
    flags |= _DONTWAIT
    if hub is not None:
        entry = hub.entries.get(_fileno(self))
        if entry is not None and not entry.writable:
            _await_drained(self, hub, entry, WRITE)
    try:
        return _send(self, data, flags)
    except BlockingIOError:
        if user_timeout(self) == 0.0:
            raise
    return _again(self, WRITE, _send, (data, flags))


def sendall(self: Any, data: Any, flags: int = 0, /) -> None:
    if flags & _PASS:
        return _C.sendall(self, data, flags)
    flags |= _DONTWAIT
    done = 0
    if type(data) is bytes:  # most data is sent at once
        try:
            done = _send(self, data, flags)
            if done == len(data):
                return None
        except BlockingIOError:
            pass
    if user_timeout(self) == 0.0:
        return _C.sendall(self, memoryview(data)[done:], flags)
    with memoryview(data) as view, view.cast("B") as rest:
        total = len(rest)
        deadline: float | None = -1.0
        while True:
            try:
                done += _send(self, rest[done:] if done else rest, flags)
                if done >= total:
                    return None
                continue
            except BlockingIOError:
                pass
            if deadline == -1.0:  # armed at the first wait: most data is sent at once
                deadline = deadline_of(user_timeout(self))
            fd = _fileno(self)
            if fd >= 0 and not wait_socket(self, fd, WRITE, deadline, _is_stream(self)):
                raise TimeoutError("timed out")


def sendto(self: Any, data: Any, *args: Any) -> int:
    if not 1 <= len(args) <= 2:
        return _C.sendto(self, data, *args)  # raises
    flags, address = (0, args[0]) if len(args) == 1 else args
    if not isinstance(flags, int):
        return _C.sendto(self, data, *args)
    address = resolve_address(self, address)
    return _call(self, WRITE, _C.sendto, (data, None, address), flags)


def sendmsg(self: Any, buffers: Any, ancdata: Any = (), flags: int = 0, address: Any = None, /) -> int:
    if flags & _PASS:
        return _C.sendmsg(self, buffers, ancdata, flags, address)
    buffers, ancdata = list(buffers), list(ancdata)
    flags |= _DONTWAIT
    try:
        return _C.sendmsg(self, buffers, ancdata, flags, address)
    except BlockingIOError:
        if user_timeout(self) == 0.0:
            raise
    return _again(self, WRITE, _C.sendmsg, (buffers, ancdata, flags, address))


# connections


class _Mode:
    """The socket in non-blocking mode for the moment of one call, if it was in blocking mode."""

    __slots__ = ("sock", "was")

    def __init__(self, sock: Any) -> None:
        self.sock = sock

    def __enter__(self) -> None:
        self.was = _gettimeout(self.sock)
        if self.was is None:
            _settimeout(self.sock, 0.0)

    def __exit__(self, *exc_info: object) -> None:
        if self.was is None and _fileno(self.sock) >= 0:
            _settimeout(self.sock, None)


def _accept_once(sock: Any) -> Any:
    with _Mode(sock):
        return _C._accept(sock)  # type: ignore[attr-defined]


def _accept(self: Any, /) -> Any:
    hub = hub_for_wait()
    if hub is None:
        if id(self) not in _timeouts:
            return _C._accept(self)  # type: ignore[attr-defined]
    else:
        entry = hub.entries.get(_fileno(self))
        if entry is not None and not entry.readable:
            _await_drained(self, hub, entry, READ)
    try:
        return _accept_once(self)
    except BlockingIOError:
        if user_timeout(self) == 0.0:
            raise
    return _again(self, READ, _accept_once, ())


_UNIX_FULL = (0.001, 0.05)  # seconds: how often a UNIX listener with a full queue is tried


def _connect_errno(sock: Any, address: Any) -> int:
    """Connect; 0 or the error number. What the C method raises (a bad address) is raised."""
    timeout = user_timeout(sock)
    if timeout == 0.0 or (hub_for_wait() is None and id(sock) not in _timeouts):
        return _C.connect_ex(sock, address)
    address = resolve_address(sock, address)
    deadline = deadline_of(timeout)
    pause = _UNIX_FULL[0]
    while True:
        with _Mode(sock):
            code = _C.connect_ex(sock, address)
        if code == errno.EAGAIN and _family(sock) == _socket.AF_UNIX:
            # the listener's queue is full, and the kernel has no event for its coming free
            now = _real.monotonic()
            if deadline is not None and now >= deadline:
                return errno.EAGAIN
            sleep_until(now + pause if deadline is None else min(now + pause, deadline))
            pause = min(pause * 2, _UNIX_FULL[1])
            continue
        break
    if code not in (errno.EINPROGRESS, errno.EINTR):
        return code
    while True:
        fd = _fileno(sock)
        if fd < 0:
            return errno.EBADF
        renew_descriptor(fd)  # what was known of the unconnected socket (a hang-up) counts no more
        if not wait_socket(sock, fd, WRITE, deadline, _is_stream(sock)):
            return errno.EWOULDBLOCK
        if _fileno(sock) < 0:
            return errno.EBADF
        code = _C.getsockopt(sock, _socket.SOL_SOCKET, _socket.SO_ERROR)
        if code:
            return code
        try:
            _C.getpeername(sock)
            return 0
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                return error.errno or errno.ENOTCONN
            if _type(sock) != _socket.SOCK_STREAM or _family(sock) not in _INET:
                return 0


def connect(self: Any, address: Any, /) -> None:
    if user_timeout(self) == 0.0:
        return _C.connect(self, address)
    code = _connect_errno(self, address)
    if code == errno.EWOULDBLOCK and user_timeout(self) is not None:
        raise TimeoutError("timed out")
    if code:
        raise OSError(code, os.strerror(code))
    return None


def bind(self: Any, address: Any, /) -> None:
    return _C.bind(self, resolve_address(self, address))


def connect_ex(self: Any, address: Any, /) -> int:
    try:
        return _connect_errno(self, address)
    except OSError as error:
        if error.errno is None or isinstance(error, _socket.gaierror):
            raise
        return error.errno


# timeouts


def settimeout(self: Any, value: float | None, /) -> None:
    _settimeout(self, value)
    timeout = _gettimeout(self)
    if timeout:
        _set_hidden(self, timeout)
        _settimeout(self, 0.0)
    elif _timeouts:
        _timeouts.pop(id(self), None)


def gettimeout(self: Any, /) -> float | None:
    return user_timeout(self)


def setblocking(self: Any, flag: Any, /) -> None:
    settimeout(self, None if flag else 0.0)


def getblocking(self: Any, /) -> bool:
    return user_timeout(self) != 0.0


timeout = property(user_timeout)


# life


def socket_init(self: Any, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:
    _init(self, family, type, proto, fileno)
    fd = _fileno(self)
    # HAZARD: the number may have belonged to a socket that was collected, detached or closed by C code
    renew_descriptor(fd)
    if _timeouts:
        _timeouts.pop(id(self), None)  # a second __init__ of the same object
    if _gettimeout(self):
        adopt_timeout(self)


def real_close(self: Any, _ss: Any = _C) -> None:
    waiting = forget_descriptor(_fileno(self))
    _C.close(self)
    wake_all(waiting)


def detach(self: Any, /) -> int:
    waiting = forget_descriptor(_fileno(self))
    fd = _C.detach(self)
    wake_all(waiting)
    return fd
