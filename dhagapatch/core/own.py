"""The runtime's own descriptors: they have high numbers, and the program can't close them.

A thread-based program has none of them: it finds the low numbers free, and it may close whatever it did not open itself
(a daemon closes all, one by one or by range).  To it ours are not open.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__

__all__ = ["HIGH", "OWN", "close_later", "close_left", "disown", "duplicate_apart", "ranges_without_own", "set_apart"]

HIGH = 960  # below FD_SETSIZE, for the sake of short waits, and of the usual limit of open files

OWN: set[int] = set()
_later: list[Callable[[], object]] = []


def duplicate_apart(fd: int) -> int:
    """A high number for the same thing, of the runtime's own."""
    close_left()
    try:
        high = _real.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, HIGH)
    except OSError:  # the limit is low
        high = _real.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 0)
    OWN.add(high)
    return int(high)


def set_apart(fd: int) -> int:
    """Move a descriptor of the runtime's own to a high number; the number."""
    try:
        return duplicate_apart(fd)
    finally:
        _real.os_close(fd)


def disown(fd: int) -> int:
    """`fd` is about to be closed by the runtime."""
    OWN.discard(fd)
    return fd


def close_later(close: Callable[[], object]) -> None:
    """Call `close` before the next descriptors are set apart.

    For a forked child: while it has the parent's descriptors it has as many as the parent, as it would natively; it closes
    them when it gets its own.
    """
    _later.append(close)


def close_left() -> None:
    """Now: the program's calls may reach the numbers from now on, or ours are about to be had."""
    while _later:
        try:
            _later.pop()()
        except OSError:
            pass  # C code of the program's has closed it


def ranges_without_own(low: int, high: int) -> list[tuple[int, int]]:
    """The numbers from `low` to below `high`, without the runtime's own."""
    ranges = []
    for fd in sorted(OWN):
        if low <= fd < high:
            ranges.append((low, fd))
            low = fd + 1
    return [*ranges, (low, high)]
