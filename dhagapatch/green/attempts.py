"""One call of a socket, made until it does not have to wait.

Who wakes a waiter: the netpoll's edge, or `close`/`detach` (then the call is tried once more and raises what
the operating system says).  Who takes it off: `wait_entry`, on timeout and on any exception.
"""

from __future__ import annotations

import _socket
import errno
import os
import struct
from collections.abc import Callable
from types import WrapperDescriptorType
from typing import Any

from greenlet import getcurrent

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import READ, WRITE, Entry
from dhagapatch.core.hub import hub_for_wait
from dhagapatch.core.sync import deadline_of
from dhagapatch.green.timeouts import HIDDEN, is_hidden, user_timeout
from dhagapatch.green.waiting import is_shut, resumptions, wait_socket

__all__ = [
    "DONTWAIT", "again", "asks_python", "await_drained", "held", "is_stream", "once", "once_each", "once_writable",
    "raise_pending", "view_of",
]  # fmt: skip

_C = _real.socket
_fileno = _C.fileno
_gettimeout = _C.gettimeout
DONTWAIT = _socket.MSG_DONTWAIT
INET = (_socket.AF_INET, _socket.AF_INET6)
_family = _C.family.__get__
_type = _C.type.__get__


def is_stream(sock: Any) -> bool:
    # HAZARD: a short read of a UNIX socket may have stopped at a descriptor in the stream, with more behind it
    return _type(sock) == _socket.SOCK_STREAM and _family(sock) in INET


def view_of(data: Any) -> memoryview | None:
    """None if it is no buffer."""
    try:
        return memoryview(data)
    except (TypeError, BufferError):
        if asks_python(data):
            raise  # the C method would ask once more
        return None


def once(data: Any) -> Any:
    """What has a `__buffer__` written in Python (since 3.12) is asked for it once, however often the call is tried."""
    return memoryview(data) if asks_python(data) else data


def once_each(buffers: Any) -> Any:
    """As `once`, of each of a sequence of buffers; the C function has words for what is none."""
    if type(buffers) in (list, tuple) and any(map(asks_python, buffers)):
        return [once(part) for part in buffers]
    return buffers


def once_writable(data: Any, method: str, place: int = 1) -> Any:
    """As `once`, of the argument of a method that fills it; whatever is raised, the C method has words of its own."""
    try:
        return once(data)
    except Exception:
        pass
    raise TypeError(f"{method}() argument {place} must be read-write bytes-like object, not {type(data).__name__}")


def asks_python(data: Any) -> bool:
    return _MAY_ASK and type(getattr(type(data), "__buffer__", _NOT_IN_PYTHON)) is not WrapperDescriptorType


_MAY_ASK = hasattr(bytes, "__buffer__")
_NOT_IN_PYTHON = object.__repr__


def held(args: tuple[Any, ...], views: list[memoryview]) -> tuple[Any, ...]:
    """The arguments with views in the place of buffers, in tuples too: these keep their size, as natively while a call waits."""
    kept = []
    for arg in args:
        view = None if type(arg) is tuple else view_of(arg)
        if view is not None:
            views.append(view)
        kept.append(held(arg, views) if type(arg) is tuple else arg if view is None else view)
    return tuple(kept)


def again(
    sock: Any, direction: int, call: Callable[..., Any], args: tuple[Any, ...], seen: int, place: int = -1,
    started: float | None = None, wanted: int = 0,
) -> Any:  # fmt: skip
    """`call` would have blocked: wait and call until it does not.  The caller had been resumed `seen` times before its try; the
    flags stand at `place` of `args`; it reads up to `wanted` bytes, if the rule of the short read applies to it.

    Never called inside an `except`: what it raises must have no context, as natively.
    """
    timeout = user_timeout(sock)
    hub = hub_for_wait()
    if hub is None and place >= 0 and not is_hidden(sock):
        return call(sock, *_blocking(args, place))
    limit = _limit(sock, hub, direction) if timeout is None and not is_hidden(sock) else None
    deadline = deadline_of(timeout if limit is None else limit) if started is None else started
    stream = is_stream(sock)
    views: list[memoryview] = []
    try:
        args = held(args, views)
        while True:
            fd = _fileno(sock)
            entry = None
            if fd >= 0:
                entry = hub.entries.get(fd) if hub is not None else None
                if entry is not None and entry.sticky and timeout is None and direction == READ and _is_shut_datagrams(sock, fd):
                    # HAZARD: asked not to wait, the kernel says EAGAIN of a shut datagram socket, for ever
                    return call(sock, *_blocking(args, place))
                if not wait_socket(sock, fd, direction, deadline, seen, stream):
                    raise TimeoutError("timed out") if limit is None else _would_block()
                if direction == WRITE:
                    raise_pending(sock, hub)
                entry = hub.entries.get(fd) if wanted and hub is not None else None
            seen = resumptions()
            try:
                if entry is None or not entry.stream or entry.sticky:
                    entry = None
                    return call(sock, *args)
                # HAZARD: the rule of the short read (see `netpoll`) must not undo an edge that came after the read: a finalizer
                # that waits may run at any call.  So the flag goes down before, and up again if the rule does not apply.
                entry.readable = False
                result = call(sock, *args)
                if not 0 < (result if type(result) is int else len(result)) < wanted:
                    entry.readable = True
                return result
            except BlockingIOError:
                pass
            except BaseException:
                if entry is not None:
                    entry.readable = True  # what there was is still to be read
                raise
    except BaseException:
        for view in views:  # the traceback would keep them
            view.release()
        raise


def _would_block() -> BlockingIOError:
    return BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


_LIMITS = {READ: _socket.SO_RCVTIMEO, WRITE: _socket.SO_SNDTIMEO}
_timeval = struct.Struct("@ll")


def _limit(sock: Any, hub: Any, direction: int) -> float | None:
    """After how many seconds a blocking socket's call ends with EAGAIN (SO_RCVTIMEO, SO_SNDTIMEO), if ever.

    Looked up at the first wait; who changes it, or the mode by fcntl, has the descriptor looked at anew.
    """
    fd = _fileno(sock)
    if fd < 0:
        return None
    entry = None
    if hub is not None:
        entry = hub.entries.get(fd)
        if entry is None:
            entry = hub.entries[fd] = Entry(fd, is_stream(sock))
        if entry.asked:
            return entry.limits.get(direction) if entry.limits is not None else None
    if not _real.os_get_blocking(fd):
        raise _would_block()  # made so by fcntl, which the socket object does not know of
    limits = {}
    for way, option in _LIMITS.items():
        seconds, microseconds = _timeval.unpack(_C.getsockopt(sock, _socket.SOL_SOCKET, option, _timeval.size))
        if seconds or microseconds:
            limits[way] = seconds + microseconds / 1e6
    if entry is not None:
        entry.asked, entry.limits = True, limits or None
    return limits.get(direction)


def _blocking(args: tuple[Any, ...], place: int) -> tuple[Any, ...]:
    return (*args[:place], args[place] & ~DONTWAIT, *args[place + 1 :])


def _is_shut_datagrams(sock: Any, fd: int) -> bool:
    return _type(sock) == _socket.SOCK_DGRAM and is_shut(fd)


def raise_pending(sock: Any, hub: Any) -> None:
    """After a wait for room: the error that a call that had blocked would have been woken with.

    A new call would find the peer gone first, and say EPIPE where the blocked one says ECONNRESET.
    """
    entry = hub.entries.get(_fileno(sock)) if hub is not None else None
    if entry is not None and entry.sticky and _family(sock) == _socket.AF_UNIX and user_timeout(sock) is None:
        code = _C.getsockopt(sock, _socket.SOL_SOCKET, _socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))


def await_drained(sock: Any, hub: Any, entry: Entry, direction: int) -> float | None:
    """The descriptor is known not to be ready: park at once, without trying and failing first.

    Not for the user's own non-blocking socket.  The deadline, for the calls that go on waiting.
    """
    # the hot path of sockets: `user_timeout` and `deadline_of` without a call
    hidden = HIDDEN.get(id(sock))
    timeout = _gettimeout(sock) if hidden is None else hidden[0]
    if timeout == 0.0:
        return None
    limit = None
    if timeout is None and entry.limits:
        limit = timeout = entry.limits.get(direction)
    deadline = None if timeout is None else _real.monotonic() + timeout
    # `wait_entry`, without a frame of its own: since 3.12 each frame below a switch costs an object
    me = getcurrent()
    seen = me.dhaga_parks
    # HAZARD: a finalizer that ran meanwhile may have waited, and let the edge come, or closed the socket
    if (entry.readable if direction == READ else entry.writable) or hub.entries.get(entry.fd) is not entry:
        return deadline
    if not entry.registered or hub.netpoll.poller.one_shot:
        hub.netpoll.watch(entry, direction)
    queue = entry.readers if direction == READ else entry.writers
    queue.append(me)
    try:
        ready = hub.park(me, deadline, entry, seen)
    finally:
        if queue and me in queue:
            queue.remove(me)
    if not ready:
        raise TimeoutError("timed out") if limit is None else _would_block()
    if entry.sticky and direction == WRITE:
        raise_pending(sock, hub)
    return deadline
