"""One waiter's slot: it is parked at most once at a time, and woken at most once.

A waiter may be a dhaga, a native thread, or the hub's own greenlet; each kind waits in its own way, and a
queue of waiters (`waitq`) need not know which.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Protocol

from greenlet import getcurrent

from dhagapatch import _real
from dhagapatch._errors import Interruption
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import threadstate
from dhagapatch.core.hub import Hub, current_hub, hub_for_wait
from dhagapatch.core.interrupts import restore
from dhagapatch.core.running import enter_loop, leave_loop, running_loop, set_all_running_loops

__all__ = ["DhagaParker", "HubParker", "Parker", "ThreadParker", "make_parker"]

_get_ident = _real.get_ident


class Parker(Protocol):
    """A waiter; `granted`, `urgent` and `owner` belong to the primitive that it waits for."""

    @property
    def hub(self) -> Any:
        """The hub in which it waits; None: a native thread."""

    woken: bool
    granted: bool  # the waker handed over what is waited for: nothing is left to be tried
    urgent: bool  # it was woken once in vain; next time it is handed over
    owner: int  # the thread that waits, for a lock that it is to own
    buried: bool  # it may be woken and yet unable to return: whoever waits looks for itself now and then

    def park(self, deadline: float | None, what: object) -> bool:
        """Wait until woken (True) or until `deadline`, monotonic seconds, is over (False)."""

    def wake(self) -> None:
        """End the wait; from any OS thread, before or after it began."""

    def again(self) -> None:
        """Make ready for another wait, after a wake-up in vain."""

    def postpone(self, what: list[BaseException]) -> None:
        """These came at a moment at which they must not be raised: they are due at the next wait."""


class DhagaParker:
    """A dhaga's slot: woken through its hub's run queue, or its inbox from another OS thread."""

    __slots__ = ("granted", "greenlet", "hub", "owner", "urgent", "woken")

    owner: int

    def __init__(self, hub: Hub, me: Any) -> None:
        self.hub = hub
        self.greenlet = me
        self.woken = self.granted = self.urgent = False

    buried = False

    def park(self, deadline: float | None, what: object) -> bool:
        hub = self.hub
        me = self.greenlet
        # A wake that comes before the park is seen here: nothing else runs on this OS thread between the check and the
        # switch (or `seen` tells of it), and another OS thread's wake goes through the inbox, which is read after it.
        while True:
            seen = me.dhaga_parks
            if self.woken:
                return True
            try:
                if not hub.park(me, deadline, what, seen):
                    return self.woken
            except Interruption as error:
                # HAZARD: who was woken has taken the waker's word, and must not leave with it: what ends the dhaga, or its
                # block, is due at the next wait
                if not self.woken:
                    raise
                restore(me, [error])
                return True

    def wake(self) -> None:
        self.woken = True
        hub = self.hub
        if _get_ident() == hub.waker:  # as `hub.wake`
            me = self.greenlet
            if me.dhaga_parked:
                me.dhaga_parked = False
                hub.runq.append(me)
        else:
            hub.wake(self.greenlet)

    def again(self) -> None:
        self.woken = False
        self.urgent = True

    def postpone(self, what: list[BaseException]) -> None:
        restore(self.greenlet, what)


class ThreadParker:
    """A native thread's slot: it blocks on a native lock."""

    __slots__ = ("granted", "hub", "lock", "owner", "pid", "urgent", "woken")

    owner: int
    buried = False

    def __init__(self) -> None:
        self.hub = None
        self.pid = _real.os_getpid()
        self.lock = _real.allocate_lock()
        self.lock.acquire()
        self.woken = self.granted = self.urgent = False

    def park(self, deadline: float | None, what: object) -> bool:
        while not self.woken:
            left = -1.0 if deadline is None else deadline - _real.monotonic()
            if deadline is not None and left <= 0:
                return self.woken
            self.lock.acquire(True, min(left, _real.TIMEOUT_MAX))
        return True

    def wake(self) -> None:
        self.woken = True
        try:
            self.lock.release()
        except RuntimeError:
            pass  # woken already

    def again(self) -> None:
        self.woken = False
        self.urgent = True

    def postpone(self, what: list[BaseException]) -> None:
        raise what[0]  # a signal handler's: there is no later wait to leave it to


class HubParker:
    """The hub's own greenlet: it can't park, so it runs the others' turns until it is woken.

    HAZARD: finalizers that run in the hub may wait one inside the other.  The outer one, if it is woken, can't return before
    the inner one has: so nothing is handed over to it (it is never urgent), and the inner one tries again by itself.
    """

    __slots__ = ("granted", "has_doubted", "hub", "owner", "urgent", "woken")

    owner: int
    buried = True

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.woken = self.granted = self.urgent = self.has_doubted = False

    def park(self, deadline: float | None, what: object) -> bool:
        if not self.has_doubted:  # once, as it may park again and again
            self.has_doubted = True
            self.hub.netpoll.doubt()
        if not self.woken:
            _run_turns(self.hub, lambda: self.woken, deadline)
        return self.woken

    def wake(self) -> None:
        self.woken = True
        if _real.get_ident() != self.hub.ident:
            self.hub.notify()

    def again(self) -> None:
        self.woken = False

    def postpone(self, what: list[BaseException]) -> None:
        raise what[0]


def _run_turns(hub: Hub, done: Callable[[], bool], deadline: float | None) -> None:
    """Run dhagas, but not the loop's callbacks, inside a callback that has to wait.

    For the hub's own greenlet, which can't park: a lock that a dhaga holds would never come free.
    """
    # HAZARD: also of a host, or of who waits inside a turn, which `enter` does not look at
    kept = leave_loop(running_loop(), set_all_running_loops)
    hooks = threadstate.take_hooks(hub)
    host = hub.host
    hub.enter()
    hub.buried += 1
    own = threadstate.keeper.take(hub)  # a dhaga's, if one runs the loop that hosts the hub
    if host is not None:
        host.runners.append(getcurrent())
    try:
        while not done() and not (deadline is not None and _real.monotonic() >= deadline):
            hub.netpoll.run(deadline, done)
            hub.netpoll.loop_work = False
    finally:
        if host is not None:
            host.runners.pop()
            host.resume()
        hub.buried -= 1
        threadstate.keeper.put(hub, own)
        hub.leave()
        enter_loop(kept)
        threadstate.put_hooks(hub, hooks)


def make_parker() -> Parker:
    """A slot for the caller, of its kind."""
    try:
        me = getcurrent()
        hub = me.dhaga_hub
    except (AttributeError, RuntimeError):  # not known yet, or the interpreter's last moments
        hub = None
    if hub is not None:
        return DhagaParker(hub, me)
    hub = hub_for_wait()
    if hub is not None:
        return DhagaParker(hub, getcurrent())
    hub = current_hub()
    if hub is not None and not sys.is_finalizing():
        return HubParker(hub)
    return ThreadParker()
