"""A simple queue: what `queue.SimpleQueue` is here, and what passes things between native threads and dhagas."""

from __future__ import annotations

from collections import deque
from types import GenericAlias
from typing import Any, ClassVar

from dhagapatch import _real
from dhagapatch._cpython import FINALIZATION_ERROR
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.budget import LOOK, charge
from dhagapatch.core.parker import make_parker
from dhagapatch.core.sync import deadline_of, seconds_of
from dhagapatch.core.waitq import NOBODY, WaitQueue, queue_of, wake_one

__all__ = ["Queue"]

_LOOK_EVERY = 0.02  # seconds: a waiter that may be woken and yet unable to return looks for itself


class Queue:
    """An unbounded first-in-first-out queue whose `put` never waits and may be called from anywhere.

    An item is never lost: a waiter that was woken for an item and leaves without it wakes the next.
    """

    __slots__ = ("__weakref__", "_items", "_waiters")

    _empty_error: ClassVar[type[Exception]] = _real.Empty

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._waiters: WaitQueue | tuple[()] = NOBODY

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Put `item` in; the other arguments are there for the sake of `queue.Queue`'s signature."""
        # first: who is woken may end the process, and this native thread should be done by then
        charge(LOOK, True)
        self._items.append(item)
        if self._waiters:
            wake_one(self)

    def put_nowait(self, item: Any) -> None:
        """Put `item` in."""
        self.put(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take out the oldest item; `_queue.Empty` when there is none within `timeout` seconds."""
        if timeout is not None and block and (type(timeout) not in (int, float) or not 0 <= timeout <= _real.TIMEOUT_MAX):
            timeout = self._checked(timeout)
        charge(LOOK, not block)  # first: what is raised then must not take an item with it
        try:
            return self._items.popleft()
        except IndexError:
            pass
        if not block:
            raise self._empty_error
        return self._wait(deadline_of(timeout))

    @staticmethod
    def _checked(timeout: Any) -> float:
        """The timeout as a number of seconds; what is no valid one is refused by the interpreter, in its own words."""
        queue = _real.SimpleQueue()
        queue.put(None)
        queue.get(True, timeout)
        return seconds_of(timeout)

    def get_nowait(self) -> Any:
        """Take out the oldest item, or raise `_queue.Empty`."""
        return self.get(False)

    def empty(self) -> bool:
        """Whether it is empty just now."""
        charge(LOOK, True)
        return not self._items

    def qsize(self) -> int:
        """How many items it holds just now."""
        charge(LOOK, True)
        return len(self._items)

    def _wait(self, deadline: float | None) -> Any:
        parker = make_parker()
        waiters = queue_of(self)
        waiters.append(parker)
        enqueued = True
        try:
            while True:
                if self._items:
                    try:
                        return self._items.popleft()
                    except IndexError:
                        pass  # another OS thread was faster
                until = deadline
                if parker.buried:
                    until = _real.monotonic() + _LOOK_EVERY
                    until = until if deadline is None else min(until, deadline)
                try:
                    woken = parker.park(until, self)
                except FINALIZATION_ERROR:
                    if deadline is None:
                        raise
                    woken = False
                    until = deadline
                if not woken:
                    if until is not deadline:
                        continue
                    enqueued = False
                    if not waiters.leave(parker) and self._items:
                        continue  # woken in the same instant
                    raise self._empty_error
                enqueued = False
                if not self._items:  # somebody else was faster: back to the head of the queue
                    parker.again()
                    waiters.insert(0, parker)
                    enqueued = True
        finally:
            if enqueued:
                waiters.leave(parker)
            if waiters and self._items:
                wake_one(self)  # HAZARD: our wake-up may have been for another item than the one we took

    __class_getitem__: Any = classmethod(GenericAlias)
