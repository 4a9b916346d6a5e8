"""A function that is called in the hub when its time has come."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dhagapatch._real import BUILTINS as __builtins__

if TYPE_CHECKING:
    from dhagapatch.core.hub import Hub

__all__ = ["Alarm"]


class Alarm:
    """To the scheduler it is a waiter with a deadline; its turn is the call.

    Made, and cancelled, in the hub's own OS thread.  The function must not wait.
    """

    __slots__ = ("_call", "_hub", "dhaga_deadline", "dhaga_parked", "dhaga_timed_out", "dhaga_timer_at")

    def __init__(self, hub: Hub, when: float, call: Callable[[], object]) -> None:
        self._hub = hub
        self._call: Callable[[], object] | None = call
        self.dhaga_parked = True
        self.dhaga_timed_out = False
        self.dhaga_deadline: float | None = when
        self.dhaga_timer_at: float | None = None
        hub.deadlines.arm(self, when)

    def __bool__(self) -> bool:
        """False, as a greenlet that has not begun: the hub takes its turn, no dhaga that parks does."""
        return False

    def switch(self) -> None:
        """Its turn."""
        call, self._call = self._call, None
        if call is not None:
            call()

    def cancel(self) -> None:
        """It is not called any more, if it was not yet."""
        self._call = None
        self.dhaga_parked = False
        self._hub.deadlines.forget(self)
