"""What is due in a dhaga when it is resumed: signal handlers to run, exceptions to raise."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from greenlet import greenlet

from dhagapatch._errors import Interruption
from dhagapatch._real import BUILTINS as __builtins__

__all__ = ["at_end_of_callback", "deliver_all", "deliver_handlers", "held_back", "restore"]

at_end_of_callback: list[Callable[[], object]] = []  # for a loop in C that has called the runtime: nothing else of Python may run


def deliver_all(me: greenlet) -> None:
    """Run the signal handlers, and raise the exceptions, that are due in `me`.

    In a shielded block (`scopes.shield`) those that come from outside of it are left to the shield.
    """
    held = _held.get(me)
    while me.dhaga_interrupts:
        what = me.dhaga_interrupts.popleft()
        if held is not None and (held.kills or not isinstance(what, Interruption)):
            held.append(what)
            continue
        if isinstance(what, BaseException):
            if isinstance(what, Interruption):
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


class _Held(deque[Any]):
    """What is held back in one."""

    kills = False  # also what ends it


_held: dict[greenlet, _Held] = {}


class held_back:
    """Hold back what comes in `me` during a call that natively goes on, whatever signals come, and looks at them at its end.

    A kill, or the end of a `Timeout` block, is not held back.  With `kills` it is, and nothing is delivered at the end: that is
    for a wait inside of C code that nobody may leave.
    """

    def __init__(self, me: greenlet, kills: bool = False) -> None:
        self._me = me
        self._kills = kills

    def __enter__(self) -> None:
        self._outer = _held.get(self._me)  # HAZARD: a finalizer may be in one, inside of another
        held = _held[self._me] = _Held()
        held.kills = self._kills

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        me = self._me
        held = _held.pop(me)
        if self._outer is not None:
            _held[me] = self._outer
        if held:
            me.dhaga_interrupts = deque((*held, *(me.dhaga_interrupts or ())))
        if me.dhaga_interrupts is not None and kind is None and not self._kills:
            deliver_all(me)


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
