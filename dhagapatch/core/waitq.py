"""A first-in-first-out queue of parkers: enqueue, cancel, requeue, wake one.

Each operation is one operation of a deque, so it is atomic on every interpreter, and dhagas, native threads
and hubs may queue together.  The rule that keeps wake-ups from being lost: a waiter that leaves early (timeout,
exception) and finds itself gone from the queue has been chosen by a waker, and must wait for the waker's word
(`settle`); what it got it must use or pass on.
"""

from __future__ import annotations

from collections import deque

from dhagapatch.core.parker import Parker

__all__ = ["WaitQueue"]


class WaitQueue(deque[Parker]):
    """The waiters of one primitive, the longest-waiting first."""

    def choose(self) -> Parker | None:
        """Take out the first waiter; whoever takes it out must wake it."""
        try:
            parker = self.popleft()
            while parker.hub is not None and parker.hub.abandoned:
                parker = self.popleft()  # HAZARD: after a fork the parent's waiters stand in the child's queues too
            return parker
        except IndexError:
            return None

    def leave(self, parker: Parker) -> bool:
        """Take `parker` out; False if a waker chose it already (it has been woken when this returns)."""
        try:
            self.remove(parker)
            return True
        except ValueError:
            # HAZARD: the waker may be between choosing and waking, on another OS thread; it can't fail
            # there, so this wait is short.  Without it a handed-over lock would have no owner.
            parker.park(None, "the waker's word")
            return False
