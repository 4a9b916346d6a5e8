"""The runtime's own descriptors: they have high numbers, and the program can't close them.

A thread-based program has none of them: it finds the low numbers free, and it may close whatever it did not open itself
(a daemon closes all, one by one or by range).  To it ours are not open.

Where no number is left, a descriptor keeps the one that it was made with; what needs none goes without (`wakeup`).
"""

from __future__ import annotations

import errno
import fcntl
import os

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__

__all__ = [
    "HIGH", "OWN", "close_own", "disown", "duplicate_apart", "has_run_out", "ranges_without_own", "refuse_own", "set_apart",
]  # fmt: skip

HIGH = 960  # below FD_SETSIZE, for the sake of short waits, and of the usual limit of open files
_ROOM = 64  # how many numbers above the first of ours there should be

OWN: set[int] = set()


def _first() -> int:
    """The lowest number for one of ours; lower where few files may be open."""
    most = os.sysconf("SC_OPEN_MAX")  # the soft limit
    return HIGH if most < 0 or most >= HIGH + _ROOM else max(most - _ROOM, most // 2)


def duplicate_apart(fd: int) -> int:
    """A high number for the same thing, of the runtime's own; OSError where there is none left."""
    high = int(_real.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _first()))
    OWN.add(high)
    return high


def set_apart(fd: int) -> int:
    """Move a descriptor of the runtime's own to a high number; the number."""
    try:
        high = duplicate_apart(fd)
    except OSError:  # none is left: it stays where it is
        OWN.add(fd)
        return fd
    _real.os_close(fd)
    return high


def disown(fd: int) -> int:
    """`fd` is about to be closed by the runtime."""
    OWN.discard(fd)
    return fd


def close_own(fd: int) -> None:
    """Close a descriptor of the runtime's own; C code of the program's may have closed it."""
    try:
        _real.os_close(disown(fd))
    except OSError:
        pass


def refuse_own(fd: object) -> None:
    """OSError (EBADF), as for a descriptor that is not open, if it is one of the runtime's own."""
    if type(fd) is int and fd in OWN:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def has_run_out(error: OSError) -> bool:
    """Whether it says that no descriptor is left, in the process or in the system."""
    return error.errno in (errno.EMFILE, errno.ENFILE)


def ranges_without_own(low: int, high: int) -> list[tuple[int, int]]:
    """The numbers from `low` to below `high`, without the runtime's own."""
    ranges = []
    for fd in sorted(OWN):
        if low <= fd < high:
            ranges.append((low, fd))
            low = fd + 1
    return [*ranges, (low, high)]
