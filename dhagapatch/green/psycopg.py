"""psycopg2 waits in libpq, in C; it takes a callback that waits in its place.

The callback is one for the process, and belongs to whoever set one first.  While there is one, psycopg2 refuses COPY and large
objects, and two queries at once on one connection; a program that needs them leaves the package out: group "packages".
"""

from __future__ import annotations

import select
import sys
from collections.abc import Callable
from typing import Any

from dhagapatch.green.select import make_poll

__all__ = ["install"]

_OK, _READ, _WRITE = 0, 1, 2  # what a connection's `poll` says; documented
_EVENTS = {_READ: select.POLLIN, _WRITE: select.POLLOUT}


def _wait(connection: Any) -> None:
    """Until what the connection is about has come to its end."""
    while (state := connection.poll()) != _OK:
        if state not in _EVENTS:
            raise connection.OperationalError(f"bad state from poll: {state}")
        poll = make_poll()  # HAZARD: while it connects, its descriptor may become another one
        poll.register(connection.fileno(), _EVENTS[state])
        poll.poll()


def install(set_wait_callback: Callable[[Any], None]) -> Callable[[], None] | None:
    """Have psycopg2 wait so; how to take it back, or None if somebody else has set a callback."""
    get_wait_callback = sys.modules["psycopg2._psycopg"].get_wait_callback
    if get_wait_callback() is not None:
        return None
    set_wait_callback(_wait)

    def undo() -> None:
        if get_wait_callback() is _wait:
            set_wait_callback(None)

    return undo
