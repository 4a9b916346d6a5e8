"""Cooperative methods for `socket.socket`, set on the class in place.

A socket stays in its blocking mode: calls that take flags are made with MSG_DONTWAIT; where the kernel has no
such flag (accept, connect) the mode is changed for the moment of the call.  A user's timeout is kept by
`timeouts`.  A socket that the user made non-blocking is passed straight through.

Who wakes a waiter: the netpoll's edge, or `close`/`detach` (then the call is tried once more and raises what
the operating system says).  Who takes it off: `wait_entry`, on timeout and on any exception.
"""

from __future__ import annotations

import _socket
import errno
import os
import socket as _stdlib
from collections.abc import Callable
from operator import index
from typing import Any

from greenlet import getcurrent

from dhagapatch import _real
from dhagapatch.core import READ, WRITE, Entry
from dhagapatch.core.hub import forget_descriptor, hub_for_wait, renew_descriptor, wait_entry, wake_all
from dhagapatch.core.sync import deadline_of
from dhagapatch.green.resolve import resolve_address
from dhagapatch.green.timeouts import (
    adopt_timeout,
    drop_hidden,
    getblocking,
    gettimeout,
    is_hidden,
    restore_timeout,
    setblocking,
    settimeout,
    timeout,
    user_timeout,
)
from dhagapatch.green.waiting import current_hub, is_ready, is_shut, sleep_until, wait_socket

__all__ = [
    "adopt_timeout", "getblocking", "gettimeout", "restore_timeout", "setblocking", "settimeout", "timeout", "user_timeout",
]  # fmt: skip

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


def _is_stream(sock: Any) -> bool:
    # HAZARD: a short read of a UNIX socket may have stopped at a descriptor in the stream, with more behind it
    return _type(sock) == _socket.SOCK_STREAM and _family(sock) in _INET


def _again(sock: Any, direction: int, call: Callable[..., Any], args: tuple[Any, ...], place: int = -1) -> Any:
    """`call` would have blocked: wait and call until it does not.  Its flags stand at `place` of `args`.

    Never called inside an `except`: what it raises must have no context, as natively.
    """
    timeout = user_timeout(sock)
    hub = hub_for_wait()
    if hub is None and place >= 0 and not is_hidden(sock):
        return call(sock, *_blocking(args, place))
    deadline = deadline_of(timeout)
    stream = _is_stream(sock)
    while True:
        fd = _fileno(sock)
        if fd >= 0:
            entry = hub.entries.get(fd) if hub is not None else None
            if entry is not None and entry.sticky and timeout is None and direction == READ and _is_shut_datagrams(sock, fd):
                # HAZARD: asked not to wait, the kernel says EAGAIN of a shut datagram socket, for ever
                return call(sock, *_blocking(args, place))
            if not wait_socket(sock, fd, direction, deadline, stream):
                raise TimeoutError("timed out")
            if direction == WRITE:
                _raise_pending(sock, hub)
        try:
            return call(sock, *args)
        except BlockingIOError:
            pass


def _blocking(args: tuple[Any, ...], place: int) -> tuple[Any, ...]:
    return (*args[:place], args[place] & ~_DONTWAIT, *args[place + 1 :])


def _is_shut_datagrams(sock: Any, fd: int) -> bool:
    return _type(sock) == _socket.SOCK_DGRAM and is_shut(fd)


def _raise_pending(sock: Any, hub: Any) -> None:
    """After a wait for room: the error that a call that had blocked would have been woken with.

    A new call would find the peer gone first, and say EPIPE where the blocked one says ECONNRESET.
    """
    entry = hub.entries.get(_fileno(sock)) if hub is not None else None
    if entry is not None and entry.sticky and _family(sock) == _socket.AF_UNIX and user_timeout(sock) is None:
        code = _C.getsockopt(sock, _socket.SOL_SOCKET, _socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))


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
    if entry.sticky and direction == WRITE:
        _raise_pending(sock, hub)
    return deadline


def _call(sock: Any, direction: int, call: Callable[..., Any], args: tuple[Any, ...], flags: int) -> Any:
    """One call that takes `flags` as the argument at the place of None in `args`."""
    if index(flags) & _PASS:
        return call(sock, *(flags if arg is None else arg for arg in args))
    place = next(n for n, arg in enumerate(args) if arg is None)
    args = (*args[:place], flags | _DONTWAIT, *args[place + 1 :])
    hub = current_hub()
    if hub is not None:
        hub.fuel -= 1
        if hub.fuel < 0:
            hub.rest()
        entry = hub.entries.get(_fileno(sock))
        if entry is not None and not (entry.readable if direction == READ else entry.writable):
            _await_drained(sock, hub, entry, direction)
    try:
        return call(sock, *args)
    except BlockingIOError:
        if user_timeout(sock) == 0.0:
            raise
    return _again(sock, direction, call, args, place)


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
        hub.fuel -= 1
        if hub.fuel < 0:
            hub.rest()
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
        data = _again(self, READ, _recv, (buffersize, _DONTWAIT), 1)
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
        hub.fuel -= 1
        if hub.fuel < 0:
            hub.rest()
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
        count = _again(self, READ, _recv_into, (buffer, nbytes, _DONTWAIT), 2)
        entry = _entry(self)
    if entry is not None and entry.stream and not entry.sticky and 0 < count < (nbytes or memoryview(buffer).nbytes):
        entry.readable = False
    return count


def _recv_flags(sock: Any, call: Callable[..., Any], first: Any, flags: int, *middle: int) -> Any:
    flags = index(flags)
    if _waits_for_all(sock, flags):
        if call is _recv:
            buffer = bytearray(first)
            return bytes(buffer[: _recv_all(sock, [buffer], 0, flags)[0]])
        view = memoryview(first).cast("B")
        return _recv_all(sock, [view[: middle[0] or None] if middle else view], 0, flags)[0]
    return _call(sock, READ, call, (first, *middle, None), flags)


def _waits_for_all(sock: Any, flags: int) -> bool:
    """Whether MSG_WAITALL has a meaning, which MSG_DONTWAIT would undo: not with a timeout, and for streams only."""
    if not flags & _socket.MSG_WAITALL or flags & (_PASS | _socket.MSG_PEEK):
        return False
    return user_timeout(sock) is None and _type(sock) == _socket.SOCK_STREAM


def _recv_all(sock: Any, buffers: list[Any], ancbufsize: int, flags: int) -> tuple[int, list[Any], int, Any]:
    """MSG_WAITALL as a loop; what `recvmsg_into` returns.

    It ends at the end of the stream, at an error after some data, and, as in the kernel, at a message with descriptors.
    """
    flags &= ~_socket.MSG_WAITALL
    rest = [memoryview(buffer).cast("B") for buffer in buffers]
    wanted = sum(map(len, rest))
    done, ancdata, said, address = _call(sock, READ, _C.recvmsg_into, (rest, ancbufsize, None), flags)
    got = done
    while got and done < wanted and not ancdata:
        while got >= len(rest[0]):
            got -= len(rest.pop(0))
        rest[0] = rest[0][got:]
        try:
            got, ancdata, more, _ = _call(sock, READ, _C.recvmsg_into, (rest, ancbufsize, None), flags)
        except OSError:
            break
        done += got
        said |= more
    return done, ancdata, said, address


def recvfrom(self: Any, buffersize: int, flags: int = 0, /) -> Any:
    if flags and _waits_for_all(self, index(flags)):
        buffer = bytearray(buffersize)
        done, _, _, address = _recv_all(self, [buffer], 0, flags)
        return bytes(buffer[:done]), address
    return _call(self, READ, _C.recvfrom, (buffersize, None), flags)


def recvfrom_into(self: Any, buffer: Any, nbytes: int = 0, flags: int = 0) -> Any:
    if flags and _waits_for_all(self, index(flags)):
        done, _, _, address = _recv_all(self, [memoryview(buffer).cast("B")[: nbytes or None]], 0, flags)
        return done, address
    return _call(self, READ, _C.recvfrom_into, (buffer, nbytes, None), flags)


def recvmsg(self: Any, bufsize: int, ancbufsize: int = 0, flags: int = 0, /) -> Any:
    if flags and _waits_for_all(self, index(flags)):
        buffer = bytearray(bufsize)
        done, *rest = _recv_all(self, [buffer], ancbufsize, flags)
        return (bytes(buffer[:done]), *rest)
    return _call(self, READ, _C.recvmsg, (bufsize, ancbufsize, None), flags)


def recvmsg_into(self: Any, buffers: Any, ancbufsize: int = 0, flags: int = 0, /) -> Any:
    buffers = _listed(buffers)
    if flags and _waits_for_all(self, index(flags)):
        return _recv_all(self, buffers, ancbufsize, flags)
    return _call(self, READ, _C.recvmsg_into, (buffers, ancbufsize, None), flags)


def _listed(items: Any) -> Any:
    """What a generator gives can be used once only, and a call may be tried twice; the C method has words for the rest."""
    if type(items) in (list, tuple):
        return items
    try:
        return list(items)
    except TypeError:
        return items


# sending


def send(self: Any, data: Any, flags: int = 0, /) -> int:
    if flags and index(flags) & _PASS:
        return _send(self, data, flags)
    try:
        hub = getcurrent().hub
    except AttributeError:
        hub = current_hub()
    flags |= _DONTWAIT
    if hub is not None:
        hub.fuel -= 1
        if hub.fuel < 0:
            hub.rest()
        entry = hub.entries.get(_fileno(self))
        if entry is not None and not entry.writable:
            _await_drained(self, hub, entry, WRITE)
    try:
        return _send(self, data, flags)
    except BlockingIOError:
        if user_timeout(self) == 0.0:
            raise
    return _again(self, WRITE, _send, (data, flags), 1)


def sendall(self: Any, data: Any, flags: int = 0, /) -> None:
    if flags and index(flags) & _PASS:
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
    view = _view(data)
    if view is None:
        return _C.sendall(self, data, flags)  # raises
    if user_timeout(self) == 0.0:
        with view:
            return _C.sendall(self, view.cast("B")[done:], flags)
    with view, view.cast("B") as rest:
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
            if not done:
                _raise_pending(self, current_hub())


def _view(data: Any) -> memoryview | None:
    try:
        view = memoryview(data)
    except (TypeError, BufferError):
        return None
    return view if view.c_contiguous else None


def sendto(self: Any, data: Any, *args: Any) -> int:
    if not 1 <= len(args) <= 2:
        return _C.sendto(self, data, *args)  # raises
    flags, address = (0, args[0]) if len(args) == 1 else args
    if not isinstance(flags, int):
        return _C.sendto(self, data, *args)
    address = resolve_address(self, address)
    return _call(self, WRITE, _C.sendto, (data, None, address), flags)


def sendmsg(self: Any, buffers: Any, ancdata: Any = (), flags: int = 0, address: Any = None, /) -> int:
    if index(flags) & _PASS:
        return _C.sendmsg(self, buffers, ancdata, flags, address)
    buffers, ancdata, address = _listed(buffers), _listed(ancdata), resolve_address(self, address)
    flags |= _DONTWAIT
    try:
        return _C.sendmsg(self, buffers, ancdata, flags, address)
    except BlockingIOError:
        if user_timeout(self) == 0.0:
            raise
    return _again(self, WRITE, _C.sendmsg, (buffers, ancdata, flags, address), 2)


# connections


class _Mode:
    """The socket in non-blocking mode for the moment of one call, if it was in blocking mode."""

    __slots__ = ("sock", "was")

    def __init__(self, sock: Any) -> None:
        self.sock = sock

    def __enter__(self) -> None:
        self.was = _gettimeout(self.sock)
        if self.was is None:
            try:
                _settimeout(self.sock, 0.0)
            except OSError:
                # HAZARD: the C object remembers the mode although it could not be set: it is closed
                try:
                    _settimeout(self.sock, None)
                except OSError:
                    pass

    def __exit__(self, *exc_info: object) -> None:
        if self.was is None and _fileno(self.sock) >= 0:
            _settimeout(self.sock, None)


def _accept_once(sock: Any) -> Any:
    with _Mode(sock):
        return _C._accept(sock)  # type: ignore[attr-defined]


def _accept(self: Any, /) -> Any:
    hub = hub_for_wait()
    if hub is None:
        if not is_hidden(self):
            return _C._accept(self)  # type: ignore[attr-defined]
    else:
        hub.fuel -= 1
        if hub.fuel < 0:
            hub.rest()
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
    while code in (errno.EINPROGRESS, errno.EALREADY, errno.EINTR):
        fd = _fileno(sock)
        if fd < 0:
            return errno.EBADF
        renew_descriptor(fd)  # what was known of the unconnected socket (a hang-up) counts no more
        if not wait_socket(sock, fd, WRITE, deadline, _is_stream(sock)):
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
    _init(self, family, type, proto, fileno)
    fd = _fileno(self)
    # HAZARD: the number may have belonged to a socket that was collected, detached or closed by C code
    renew_descriptor(fd)
    drop_hidden(self)  # a second __init__ of the same object
    if _gettimeout(self):
        adopt_timeout(self)


def real_close(self: Any, _ss: Any = _C) -> None:
    waiting = forget_descriptor(_fileno(self))
    _C.close(self)
    wake_all(waiting)


def detach(self: Any, /) -> int:
    self._closed = True
    waiting = forget_descriptor(_fileno(self))
    fd = _C.detach(self)
    wake_all(waiting)
    return fd
