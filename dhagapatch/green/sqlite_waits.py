"""SQLite waits cooperatively for another connection, and for its turn on a connection that threads share (`_c/sqlite.h`).

Natively neither wait is cut short by a signal: a handler is called when the statement has ended.  So it is here, and a kill, or
the end of a `Timeout`, is due at the next wait: what is in the middle of a statement can't be left.

Without the compiled part, or where connections were open when the process was patched, SQLite waits natively, and holds up the
OS thread.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from greenlet import GreenletExit, getcurrent

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.extension import speedups
from dhagapatch.core.interrupts import held_back, restore
from dhagapatch.core.parker import Parker, make_parker
from dhagapatch.green.signal import put_off

__all__ = ["install"]


def install(_: object) -> Callable[[], None] | None:
    """Have SQLite wait so; how to take it back, or None where it can't be had."""
    library = getattr(sys.modules["_sqlite3"], "__file__", None)
    if speedups is None or not speedups.sqlite_waits(library, _nap, make_parker, _wait, _wake):
        return None
    take_back: Callable[[], None] = speedups.sqlite_waits
    return take_back


def _nap(seconds: float) -> bool:
    """Called by SQLite, to sleep; False: natively."""
    if sys.is_finalizing():
        return False
    return _park(make_parker(), _real.monotonic() + seconds, "another connection's lock on the database")


def _wait(parker: Parker) -> bool:
    """Called by SQLite, for a connection's mutex; False: it can't wait."""
    return not sys.is_finalizing() and _park(parker, None, "its turn on the connection")


def _wake(parker: Parker) -> None:
    """Called by SQLite, when a connection's mutex is free."""
    parker.wake()


def _park(parker: Parker, deadline: float | None, what: str) -> bool:
    hub = parker.hub
    if hub is None:
        return False
    me: Any = getcurrent()
    try:
        with held_back(me, kills=True):
            while not parker.woken and (deadline is None or _real.monotonic() < deadline):
                parker.park(deadline, what)
    except GreenletExit as error:  # thrown into it, or it is dropped
        restore(me, [error])
        return deadline is not None
    except (RecursionError, MemoryError):
        return False
    if me is hub.main and me.dhaga_interrupts is not None:
        put_off(me)
    return True
