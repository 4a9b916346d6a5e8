"""A first-in-first-out queue of parkers: enqueue, cancel, requeue, wake one.

Each operation is one operation of a list, so it is atomic on every interpreter, and dhagas, native threads
and hubs may queue together.  (A deque takes six times the memory, and most queues hold one waiter.)  The rule that
keeps wake-ups from being lost: a waiter that leaves early (timeout, exception) and finds itself gone from the queue
has been chosen by a waker, and must wait for the waker's word (`leave`); what it got it must use or pass on.
"""

from __future__ import annotations

from typing import Any, Protocol

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.parker import Parker, ThreadParker

__all__ = ["NOBODY", "WaitQueue", "queue_of", "wake_one"]


class WaitQueue(list[Parker]):
    """The waiters of one primitive, the longest-waiting first."""

    __slots__ = ()

    def choose(self) -> Parker | None:
        """Take out the first waiter; whoever takes it out must wake it."""
        try:
            while True:
                parker = self.pop(0)
                # HAZARD: after a fork the parent's waiters stand in the child's queues too; and a hub may have ended
                if isinstance(parker, ThreadParker):
                    if parker.pid == _real.os_getpid():
                        return parker
                elif not parker.hub.abandoned:
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
            # there, so this wait is short.  Without it a handed-over lock would have no owner.  What is due to the waiter
            # meanwhile must not end it: it would leave with the wake-up.
            kept: list[BaseException] = []
            while not parker.woken:
                try:
                    parker.park(None, "the waker's word")
                    break
                except RecursionError:
                    pass  # too deep to wait: the waker, on another OS thread, has its turn all the same
                except BaseException as error:
                    kept.append(error)
            if kept:
                parker.postpone(kept)
            return False


NOBODY: tuple[()] = ()  # instead of a queue: nobody has waited yet; most locks never see a waiter


class _Waited(Protocol):
    """A primitive that makes its queue when somebody waits."""

    _waiters: WaitQueue | tuple[()]


def queue_of(primitive: _Waited) -> WaitQueue:
    """The waiters of `primitive`; from any OS thread."""
    waiters = primitive._waiters
    if type(waiters) is not WaitQueue:
        # HAZARD: two OS threads, or a finalizer, may want to make it; one line without call or branch is atomic (see `sync`)
        choice: list[Any] = [WaitQueue(), None]
        choice[1] = primitive._waiters; primitive._waiters = waiters = choice[primitive._waiters is not NOBODY]  # noqa: E702  # fmt: skip
    return waiters


def wake_one(primitive: _Waited) -> None:
    """Wake the first who waits for `primitive`, if there is one."""
    parker = queue_of(primitive).choose()
    if parker is not None:
        parker.wake()
