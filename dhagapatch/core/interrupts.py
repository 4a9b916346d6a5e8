"""What is due in a dhaga when it is resumed: signal handlers to run, exceptions to raise."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from greenlet import greenlet

from dhagapatch._errors import DhagaExit
from dhagapatch._real import BUILTINS as __builtins__

__all__ = ["deferred", "deliver_all", "deliver_handlers", "restore"]

deferred: list[Callable[[], object]] = []  # handlers whose signals came while the main dhaga was between two steps of the runtime


def deliver_all(me: greenlet) -> None:
    """Run the signal handlers, and raise the exceptions, that are due in `me`.

    In a shielded block (`scopes.shield`) those that come from outside of it are left to the shield.
    """
    while me.dhaga_interrupts:
        what = me.dhaga_interrupts.popleft()
        if isinstance(what, BaseException):
            if isinstance(what, DhagaExit):
                scope = getattr(me, "dhaga_scope", None)
                if scope is not None and scope is not what.scope:
                    scope.held.append(what)
                    continue
            if not me.dhaga_interrupts:
                me.dhaga_interrupts = None
            try:
                raise what
            finally:
                del what  # no cycle between its traceback and this frame
        what()
    me.dhaga_interrupts = None


def deliver_handlers(me: greenlet) -> None:
    """Run the signal handlers that are due in `me`, and leave the exceptions for its next wait."""
    due, me.dhaga_interrupts = me.dhaga_interrupts, None
    kept = []
    try:
        while due:
            what = due.popleft()
            if isinstance(what, BaseException):
                kept.append(what)
            else:
                what()
    finally:
        if kept or due or me.dhaga_interrupts:
            me.dhaga_interrupts = deque((*kept, *due, *(me.dhaga_interrupts or ())))


def restore(me: greenlet, what: Iterable[BaseException]) -> None:
    """These are due in `me` before all others."""
    me.dhaga_interrupts = deque((*what, *(me.dhaga_interrupts or ())))
