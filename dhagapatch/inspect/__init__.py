"""What the program is doing: dumps, figures, stalls, locks that wait for each other.

This module is the door.  What lies behind it is imported when it is asked for: a start pays for none of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dhagapatch.inspect.snapshot import Dump

__all__ = ["dump"]

_take: Callable[[], Dump] | None = None


def dump() -> Dump:
    """Every dhaga of every hub and every native thread: what it waits for, and where it stands.

    `str()` of the result is for reading, `as_dict()` for programs.  From any OS thread, also while a hub is stuck in C code, in
    a signal handler, in a forked child, before there is a hub, and at exit.

    .. versionadded:: 0.1
    """
    global _take
    if _take is None:  # kept: in the interpreter's last moments nothing can be imported
        from dhagapatch.inspect.snapshot import take

        _take = take
    return _take()
