"""Waiting for a descriptor, in whatever way the caller can: a dhaga parks, a native thread polls.

For sockets, `wait_socket`, which trusts the remembered readiness.  For any other descriptor, `wait_descriptor`,
which asks the kernel before each park and registers afresh, because such a descriptor may be closed and its number
used again by C code that never passes our `close`.
"""

from __future__ import annotations

import errno
import select
from operator import index
from typing import Any

from greenlet import getcurrent

from dhagapatch import _real
from dhagapatch._cpython import TIMES_ARE_REAL
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import READ, Entry, compiled, hub_for_wait
from dhagapatch.core.descriptors import wait_entry
from dhagapatch.core.hub import parking_hub

__all__ = [
    "is_open", "is_ready", "is_shut", "native_wait", "number_of", "resumptions", "sleep_until", "wait_descriptor",
    "wait_socket",
]  # fmt: skip

_SHUT = getattr(select, "POLLRDHUP", 0)


def number_of(seconds: Any) -> Any:
    """A time that is no number, but stands for one, as that: an integer, and since 3.15 any real number; else as it is."""
    if not isinstance(seconds, (int, float)):
        if TIMES_ARE_REAL and hasattr(type(seconds), "__float__"):
            return float(seconds)
        if hasattr(type(seconds), "__index__"):
            return index(seconds)
    return seconds


def _poll_mask(direction: int) -> int:
    return select.POLLIN | select.POLLPRI if direction == READ else select.POLLOUT


def is_ready(fd: int, direction: int) -> bool:
    """Whether an operation on `fd` would not block, by the kernel's word; true too for a bad descriptor."""
    poll = _real.poll()
    poll.register(fd, _poll_mask(direction))
    return bool(poll.poll(0))


def is_open(fd: int) -> bool:
    """Whether this number is an open descriptor."""
    try:
        _real.os_fstat(fd)
    except OSError:
        return False
    return True


def is_shut(fd: int) -> bool:
    """Whether nothing more can come: the peer, or we ourselves, shut that direction down."""
    poll = _real.poll()
    poll.register(fd, _SHUT)
    return any(events & _SHUT for _, events in poll.poll(0))


def native_wait(fd: int, direction: int, deadline: float | None) -> bool:
    """Block the OS thread until `fd` is ready (True) or `deadline` is over (False)."""
    poll = _real.poll()
    poll.register(fd, _poll_mask(direction))
    if deadline is None:
        return bool(poll.poll())
    return bool(poll.poll(max(0, (deadline - _real.monotonic()) * 1000)))


def resumptions() -> int:
    """How often the caller has been resumed; asked before a try that may fail, for `wait_socket`."""
    try:
        return getcurrent().dhaga_parks
    except RecursionError:
        raise
    except (AttributeError, RuntimeError):  # not known yet, or the interpreter's last moments
        return 0


def wait_socket(sock: Any, fd: int, direction: int, deadline: float | None, seen: int, stream: bool = False) -> bool:
    """The socket's operation hit EAGAIN: wait until it may succeed; False when `deadline` is over.

    HAZARD: a finalizer or a signal handler may run between the try and the wait, and wait itself: then the edge that this wait is
    for has come already. So the caller tells how often it had been resumed before the try (`resumptions`).
    """
    hub = hub_for_wait()
    if hub is None:
        return native_wait(fd, direction, deadline)
    entry = hub.entries.get(fd)
    if entry is None:
        entry = hub.entries[fd] = Entry(fd, stream)
    changed = seen != getcurrent().dhaga_parks
    if direction == READ:
        entry.readable = changed
    else:
        entry.writable = changed
    return changed or wait_entry(hub, entry, direction, deadline, seen=seen)


if compiled.speedups is not None:
    compiled.speedups.setup_waiting(wait_socket)
    wait_socket = compiled.speedups.wait_socket


def wait_descriptor(fd: int, direction: int, deadline: float | None = None) -> bool:
    """Wait until the kernel says that `fd` is ready; False when `deadline` is over.

    A descriptor that is always ready, or in non-blocking mode, is not waited for.  A wait that has begun goes on if the mode
    changes.
    """
    hub = parking_hub()
    if hub is None:
        if is_ready(fd, direction):
            return True
        hub = hub_for_wait()
        if hub is None:
            return True if deadline is None else native_wait(fd, direction, deadline)
    begun = False
    while not is_ready(fd, direction):
        if not begun and deadline is None and not _real.os_get_blocking(fd):
            return True
        begun = True
        entry = hub.entries.get(fd)
        if entry is None:
            entry = hub.entries[fd] = Entry(fd)
        try:
            if not wait_entry(hub, entry, direction, deadline, afresh=True):
                return False
        except OSError as error:
            if error.errno in (errno.EPERM, errno.EBADF):
                return True  # never blocks, or fails: the call itself will tell
            raise
    return True


def sleep_until(deadline: float) -> None:
    """Park, or block, until `deadline` (monotonic seconds)."""
    hub = hub_for_wait()
    if hub is None:
        _real.sleep(max(0.0, deadline - _real.monotonic()))
        return
    me = getcurrent()
    while hub.park(me, deadline, "a deadline", me.dhaga_parks):
        pass
