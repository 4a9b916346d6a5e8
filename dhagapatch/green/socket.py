"""Cooperative methods for `socket.socket` that receive and send, set on the class in place.

A socket stays in its blocking mode: calls that take flags are made with MSG_DONTWAIT.  A user's timeout is kept by
`timeouts`.  A socket that the user made non-blocking is passed straight through.
"""

from __future__ import annotations

import _socket
from collections.abc import Callable
from operator import index
from select import POLLIN
from typing import Any

from greenlet import getcurrent

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import READ, WRITE, compiled
from dhagapatch.core.budget import CALL, charge
from dhagapatch.core.entry import entry_method
from dhagapatch.core.hub import parking_hub
from dhagapatch.core.sync import deadline_of
from dhagapatch.green.attempts import DONTWAIT, again, await_drained, is_stream, once, once_writable, raise_pending, view_of
from dhagapatch.green.resolve import resolve_address
from dhagapatch.green.select import make_poll
from dhagapatch.green.timeouts import HIDDEN, user_timeout
from dhagapatch.green.waiting import resumptions, wait_socket

__all__ = [
    "recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into", "send", "sendall", "sendmsg", "sendto",
]  # fmt: skip

_C = _real.socket
_fileno = _C.fileno
_recv = _C.recv
_recv_into = _C.recv_into
_send = _C.send
_type = _C.type.__get__
_NOWHERE = _C.__new__(_C)  # it has no descriptor
_MOST = 1 << 24  # bytes: for more there may be no memory, which is told at once
# what is there, or not, whatever else there is to be read
_APART = getattr(_socket, "MSG_ERRQUEUE", 0) | _socket.MSG_OOB
_PASS = DONTWAIT | _APART
_NO_FLAGS = 0
_FLAGS: Any = object()  # stands in arguments for the flags


def _passes(sock: Any, flags: int, direction: int = WRITE) -> bool:
    """Whether the C method is to be called as it is.  HAZARD: natively a socket with a timeout waits, asked to or not."""
    return bool(flags & (_PASS if direction == READ else DONTWAIT)) and not user_timeout(sock)


def _receive_apart(sock: Any, call: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """A socket with a timeout: as natively it is waited for with poll(2), which does not know what the flags ask for."""
    try:
        call(_NOWHERE, *args)  # arguments that are wrong are, whether or not there is anything
    except OSError:
        pass
    else:
        return call(sock, *args)  # no byte is asked for
    deadline = deadline_of(user_timeout(sock))
    assert deadline is not None
    while True:
        poll, fd = make_poll(), _fileno(sock)
        if fd >= 0:
            poll.register(fd, POLLIN)
            if not poll.poll(max(0.0, deadline - _real.monotonic()) * 1000):
                raise TimeoutError("timed out")
        try:
            return call(sock, *args)
        except BlockingIOError:
            pass


def _flags_of(flags: Any, call: Callable[..., Any], *args: Any) -> int:
    """Flags as an integer; what is none the C method refuses, which looks at its other arguments first."""
    try:
        return index(flags)
    except TypeError:
        pass
    call(*args, flags)  # raises
    raise TypeError("flags are an integer")


def _call(sock: Any, direction: int, call: Callable[..., Any], args: tuple[Any, ...], flags: int) -> Any:
    """One call that takes `flags` as the argument at the place of _FLAGS in `args`."""
    place = next(n for n, arg in enumerate(args) if arg is _FLAGS)
    as_it_is = (*args[:place], flags, *args[place + 1 :])
    number = None
    try:
        number = index(flags)
    except TypeError:
        pass
    if number is None or _passes(sock, number, direction):
        return call(sock, *as_it_is)  # what is no flags is refused; the C method looks at the other arguments first
    if direction == READ and number & _APART:
        return _receive_apart(sock, call, as_it_is)
    flags = number
    args = (*args[:place], flags | DONTWAIT, *args[place + 1 :])
    seen = resumptions()
    try:  # also if the descriptor is known not to be ready: arguments that are wrong are, whether or not
        return call(sock, *args)
    except BlockingIOError:
        if user_timeout(sock) == 0.0:
            raise
    return again(sock, direction, call, args, seen, place)


# receiving


def recv(self: Any, buffersize: int, flags: int = 0, /) -> bytes:
    if flags is not _NO_FLAGS:
        return _recv_flags(self, _recv, buffersize, flags)
    try:
        hub = getcurrent().dhaga_hub
    except (AttributeError, RuntimeError):  # not known yet, or the interpreter's last moments
        hub = parking_hub()
    entry = started = None
    plain = type(buffersize) is int and 0 < buffersize <= _MOST
    if hub is not None:
        entry = hub.entries.get(_fileno(self))
        if entry is not None and not entry.readable and plain:
            started = await_drained(self, hub, entry, READ)
    ruled = entry if entry is not None and entry.stream and not entry.sticky and plain else None
    seen = resumptions()
    try:
        if ruled is not None:
            ruled.readable = False  # before the call, see `again`
        data = _recv(self, buffersize, DONTWAIT)
        if ruled is not None and not 0 < len(data) < buffersize:
            ruled.readable = True
        return data
    except BlockingIOError:
        if user_timeout(self) == 0.0:
            raise
    except BaseException:
        if ruled is not None:
            ruled.readable = True  # what there was is still to be read
        raise
    return again(self, READ, _recv, (buffersize, DONTWAIT), seen, 1, started, buffersize if plain else 0)


def recv_into(self: Any, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
    if flags is not _NO_FLAGS:
        return _recv_flags(self, _recv_into, once_writable(buffer, "recv_into"), flags, nbytes)
    if type(buffer) is not bytearray and type(buffer) is not memoryview:
        buffer = once_writable(buffer, "recv_into")
    try:
        hub = getcurrent().dhaga_hub
    except (AttributeError, RuntimeError):  # not known yet, or the interpreter's last moments
        hub = parking_hub()
    entry = started = None
    view = _room(buffer, nbytes)
    wanted = 0 if view is None else nbytes or view.nbytes
    try:
        if hub is not None:
            entry = hub.entries.get(_fileno(self))
            if entry is not None and not entry.readable and wanted:
                started = await_drained(self, hub, entry, READ)
        ruled = entry if entry is not None and entry.stream and not entry.sticky and wanted else None
        seen = resumptions()
        try:
            if ruled is not None:
                ruled.readable = False  # before the call, see `again`
            count = _recv_into(self, buffer, nbytes, DONTWAIT)
            if ruled is not None and not 0 < count < wanted:
                ruled.readable = True
            return count
        except BlockingIOError:
            if user_timeout(self) == 0.0:
                raise
        except BaseException:
            if ruled is not None:
                ruled.readable = True
            raise
        return again(self, READ, _recv_into, (buffer, nbytes, DONTWAIT), seen, 2, started, wanted)
    finally:
        if view is not None:
            view.release()


def _room(buffer: Any, nbytes: int) -> memoryview | None:
    """A view that keeps the buffer's size during a wait; None if the call is an error."""
    view = view_of(buffer)
    fits = view is not None and view.c_contiguous and not view.readonly and type(nbytes) is int and 0 <= nbytes <= view.nbytes
    return view if fits else None


def _recv_flags(sock: Any, call: Callable[..., Any], first: Any, flags: int, *middle: int) -> Any:
    flags = _flags_of(flags, call, sock, first, *middle)
    if _waits_for_all(sock, flags):
        if call is _recv:
            buffer = bytearray(first)
            return bytes(buffer[: _recv_all(sock, [buffer], 0, flags)[0]])
        view = _room(first, *middle)
        if view is None:
            return call(sock, first, *middle, flags)  # raises
        return _recv_all(sock, [view.cast("B")[: middle[0] or None]], 0, flags)[0]
    return _call(sock, READ, call, (first, *middle, _FLAGS), flags)


def _waits_for_all(sock: Any, flags: int) -> bool:
    """Whether MSG_WAITALL has a meaning, which MSGDONTWAIT would undo: not with a timeout, and for streams only."""
    try:
        flags = index(flags)
    except TypeError:
        return False
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
    done, ancdata, said, address = _call(sock, READ, _C.recvmsg_into, (rest, ancbufsize, _FLAGS), flags)
    got = done
    while got and done < wanted and not ancdata:
        charge(CALL)
        while got >= len(rest[0]):
            got -= len(rest.pop(0))
        rest[0] = rest[0][got:]
        try:
            got, ancdata, more, _ = _call(sock, READ, _C.recvmsg_into, (rest, ancbufsize, _FLAGS), flags)
        except OSError:
            break
        done += got
        said |= more
    return done, ancdata, said, address


def recvfrom(self: Any, buffersize: int, flags: int = 0, /) -> Any:
    if flags and _waits_for_all(self, flags):
        buffer = bytearray(buffersize)
        done, _, _, address = _recv_all(self, [buffer], 0, flags)
        return bytes(buffer[:done]), address
    return _call(self, READ, _C.recvfrom, (buffersize, _FLAGS), flags)


def recvfrom_into(self: Any, buffer: Any, nbytes: int = 0, flags: int = 0) -> Any:
    if flags and _waits_for_all(self, flags):
        buffer = once_writable(buffer, "recvfrom_into")
        view = _room(buffer, nbytes)
        if view is None:
            return _C.recvfrom_into(self, buffer, nbytes, flags)  # raises
        done, _, _, address = _recv_all(self, [view.cast("B")[: nbytes or None]], 0, flags)
        return done, address
    return _call(self, READ, _C.recvfrom_into, (once_writable(buffer, "recvfrom_into"), nbytes, _FLAGS), flags)


def recvmsg(self: Any, bufsize: int, ancbufsize: int = 0, flags: int = 0, /) -> Any:
    if flags and _waits_for_all(self, flags):
        buffer = bytearray(bufsize)
        done, *rest = _recv_all(self, [buffer], ancbufsize, flags)
        return (bytes(buffer[:done]), *rest)
    return _call(self, READ, _C.recvmsg, (bufsize, ancbufsize, _FLAGS), flags)


def recvmsg_into(self: Any, buffers: Any, ancbufsize: int = 0, flags: int = 0, /) -> Any:
    try:
        buffers = _asked_once(buffers)
    except Exception:  # whatever is raised, the C method has words of its own
        buffers = (None,)
    if flags and _waits_for_all(self, flags):
        return _recv_all(self, buffers, ancbufsize, flags)
    return _call(self, READ, _C.recvmsg_into, (buffers, ancbufsize, _FLAGS), flags)


def _listed(items: Any) -> Any:
    """A call may be tried twice: what a generator gives can be used once only, and a list may change meanwhile.  The C method has
    words for what is neither.
    """
    try:
        return tuple(items)
    except TypeError:
        return items


def _asked_once(buffers: Any) -> Any:
    listed = _listed(buffers)
    return tuple(map(once, listed)) if type(listed) is tuple else listed


# sending


def send(self: Any, data: Any, flags: int = 0, /) -> int:
    if flags is not _NO_FLAGS:
        flags = _flags_of(flags, _send, self, data)
        if _passes(self, flags):
            return _send(self, data, flags)
    if type(data) is not bytes:
        data = once(data)
    try:
        hub = getcurrent().dhaga_hub
    except (AttributeError, RuntimeError):  # not known yet, or the interpreter's last moments
        hub = parking_hub()
    flags |= DONTWAIT
    started = None
    if hub is not None:
        entry = hub.entries.get(_fileno(self))
        if entry is not None and not entry.writable and (view := _view(data)) is not None:
            with view:
                if view.nbytes or user_timeout(self) is not None:
                    started = await_drained(self, hub, entry, WRITE)
    seen = resumptions()
    try:
        return _send(self, data, flags)
    except BlockingIOError:
        if user_timeout(self) == 0.0:
            raise
    return again(self, WRITE, _send, (data, flags), seen, 1, started)


def sendall(self: Any, data: Any, flags: int = 0, /) -> None:
    if flags is not _NO_FLAGS:
        flags = _flags_of(flags, _C.sendall, self, data)
        if _passes(self, flags):
            return _C.sendall(self, data, flags)
    flags |= DONTWAIT
    done = 0
    if type(data) is bytes:  # most data is sent at once
        try:
            done = _send(self, data, flags)
            if done == len(data):
                return None
        except BlockingIOError:
            pass
    return _send_rest(self, data, flags, done)


def _send_rest(self: Any, data: Any, flags: int, done: int) -> None:
    """Send what is left of `data` after `done` bytes."""
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
            seen = resumptions()
            try:
                done += _send(self, rest[done:] if done else rest, flags)
                if done >= total:
                    return None
                charge(CALL)
                continue
            except BlockingIOError:
                pass
            if deadline == -1.0:  # armed at the first wait: most data is sent at once
                deadline = deadline_of(user_timeout(self))
            fd = _fileno(self)
            if fd >= 0 and not wait_socket(self, fd, WRITE, deadline, seen, is_stream(self)):
                raise TimeoutError("timed out")
            if not done:
                raise_pending(self, parking_hub())


def _view(data: Any) -> memoryview | None:
    view = view_of(data)
    return view if view is not None and view.c_contiguous else None


def sendto(self: Any, data: Any, /, *args: Any) -> int:
    if not 1 <= len(args) <= 2:
        return _C.sendto(self, data, *args)  # raises
    flags, address = (0, args[0]) if len(args) == 1 else args
    if not isinstance(flags, int):
        try:
            flags = index(flags)
        except TypeError:
            pass
        else:
            return sendto(self, data, flags, address)
        return _C.sendto(self, data, flags, address)  # raises
    address = resolve_address(self, address)
    return _call(self, WRITE, _C.sendto, (once(data), _FLAGS, address), flags)


def sendmsg(self: Any, buffers: Any, ancdata: Any = (), flags: int = 0, address: Any = None, /) -> int:
    flags = index(flags)
    if _passes(self, flags):
        return _C.sendmsg(self, buffers, ancdata, flags, address)
    buffers, ancdata, address = _asked_once(buffers), _listed(ancdata), resolve_address(self, address)
    flags |= DONTWAIT
    seen = resumptions()
    try:
        return _C.sendmsg(self, buffers, ancdata, flags, address)
    except BlockingIOError:
        if user_timeout(self) == 0.0:
            raise
    return again(self, WRITE, _C.sendmsg, (buffers, ancdata, flags, address), seen, 2)


if compiled.speedups is not None:
    compiled.speedups.setup_sockets({
        "socket": _C, "hidden": HIDDEN, "again": again, "send_rest": _send_rest, "raise_pending": raise_pending,
        "recv": entry_method(recv, _recv, 0), "recv_into": entry_method(recv_into, _recv_into, 0),
        "send": entry_method(send, _send, 0), "sendall": entry_method(sendall, _C.sendall, 0), "sock_fileno": _fileno,
        "sock_gettimeout": _C.gettimeout, "sock_recv": _recv, "sock_recv_into": _recv_into, "sock_send": _send,
        "dontwait": DONTWAIT,
    })  # fmt: skip
    globals().update(compiled.speedups.socket_methods())
