"""Stretches of code with a deadline, and stretches that are not to be cut short.

What ends a dhaga's wait from outside (a kill, a cancelled task, a `Timeout`) is an exception of ours, due at its next
wait.  Who takes it off again: the wait that raises it, or the `Timeout` when its block is left before that.  A `shield` holds it
back; who gives it back is the shield, when it is left.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

from greenlet import getcurrent

from dhagapatch import _real
from dhagapatch._errors import Interruption, TimeoutExit
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.alarms import Alarm
from dhagapatch.core.hub import Hub, hub_for_wait
from dhagapatch.core.interrupts import deliver_all, restore
from dhagapatch.core.running import running_loop

__all__ = ["Timeout", "shield"]


class Timeout:
    """A block of code that may take so many seconds; ``with Timeout(5): legacy()`` raises TimeoutError when they are over.

    The wait in which the block is then ends with `TimeoutExit`, which ``except Exception`` does not swallow, and which becomes
    TimeoutError where the block ends; code that computes is interrupted at its next wait.  Timeouts nest: the outer one
    ends the inner one's block.  None: no limit, until `reschedule` sets one.  Each is used once.

    ValueError for what is no number of seconds; RuntimeError where nothing can be interrupted (an OS thread
    that runs no dhagas, a coroutine), and for a second use.

    While the block is in a greenlet that a library made, the end of its time waits until it has come back.  A forked child
    has no limit any more.

    The shape is that of `asyncio.timeout`.

    .. versionadded:: 0.1
    """

    def __init__(self, seconds: float | None) -> None:
        if seconds is not None and not seconds >= 0:
            raise ValueError(f"Timeout() takes a number of seconds, 0 or more, or None; got {seconds!r}")
        self.seconds = seconds
        self.expired = False  # the time was over before the block ended
        self._used = False
        self._hub: Hub | None = None  # while the block is run
        self._dhaga: Any = None
        self._alarm: Alarm | None = None
        self._marker: TimeoutExit | None = None
        self._handled: BaseException | None = None  # when the block began

    def __enter__(self) -> Timeout:
        if self._used:
            raise RuntimeError("a Timeout is used once; make another one")
        self._hub = _hub("Timeout")
        self._used = True
        self._dhaga = _kept(getcurrent())
        self._scope = getattr(self._dhaga, "dhaga_scope", None)
        self._handled = sys.exc_info()[1]
        self.reschedule(self.seconds)
        return self

    def reschedule(self, seconds: float | None) -> None:
        """From now on the block may take so many seconds more; RuntimeError if it is not being run, or its time is over."""
        if self._hub is None or self.expired:
            raise RuntimeError("the block of this Timeout is not being run, or its time is over")
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self.seconds = seconds
        if seconds is not None:
            self._alarm = Alarm(self._hub, _real.monotonic() + seconds, self._expire)

    def _expire(self) -> None:
        """In the hub: the block waits, or stands in the run queue."""
        assert self._hub is not None
        self.expired = True
        self._marker = TimeoutExit(f"the block's {self.seconds} s are over")
        self._marker.scope = self._scope  # a shield within the block holds it back, one round it does not
        self._hub.interrupt(self._dhaga, self._marker)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        dhaga, self._dhaga, self._hub = self._dhaga, None, None
        handled, self._handled = self._handled, None
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        marker, self._marker = self._marker, None
        if marker is None:
            return
        marker.settled = True
        outer: BaseException | None = None
        try:
            if error is marker:
                # HAZARD: it hit code that was cleaning up, as a kill or an outer block's end was on its way: that goes on
                outer = marker.__context__
                while outer is not None and outer is not handled:
                    if isinstance(outer, Interruption) and not getattr(outer, "settled", False):
                        raise outer
                    outer = outer.__context__
                raise TimeoutError(f"the block's {self.seconds} s are over") from marker
            # HAZARD: the block ended before it was raised, and it must not hit what comes after
            if dhaga.dhaga_interrupts is not None and marker in dhaga.dhaga_interrupts:
                dhaga.dhaga_interrupts.remove(marker)
        finally:
            del marker, outer, error, handled  # no cycles with this frame


class shield:
    """A block that is not cut short, ``with shield(): commit()``.

    Kills, cancellations and the ends of `Timeout` blocks round it are held back, and raised when it is left; if that is by
    an exception, at the next wait.  A `Timeout` within the block counts as ever, and so do signal handlers and
    KeyboardInterrupt.  Shields nest.

    RuntimeError where there is nothing to be shielded from: an OS thread that runs no dhagas, a coroutine.

    .. versionadded:: 0.1
    """

    def __init__(self) -> None:
        self.held: list[Interruption] = []
        self._outer: shield | None = None
        self._dhaga: Any = None

    def __enter__(self) -> shield:
        if self._dhaga is not None:
            raise RuntimeError("this shield is in use; make another one")
        _hub("shield")
        self._dhaga = _kept(getcurrent())
        self._outer = getattr(self._dhaga, "dhaga_scope", None)
        self._dhaga.dhaga_scope = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        dhaga, self._dhaga = self._dhaga, None
        outer, self._outer = self._outer, None
        if dhaga.dhaga_scope is self:
            dhaga.dhaga_scope = outer
        else:  # left out of order
            inner = dhaga.dhaga_scope
            while inner is not None and inner._outer is not self:
                inner = inner._outer
            if inner is not None:
                inner._outer = outer
        held, self.held = self.held, []
        if held:
            restore(dhaga, held)
            if error is None and getcurrent() is dhaga:
                deliver_all(dhaga)


def _hub(what: str) -> Hub:
    hub = hub_for_wait()
    if hub is None or running_loop() is not None:
        raise RuntimeError(
            f"{what} has nothing to interrupt here: use it in a dhaga, or in the main thread; "
            "another OS thread needs dhagapatch.get_hub() first, and a coroutine has asyncio.timeout and asyncio.shield"
        )
    return hub


def _kept(dhaga: Any) -> Any:
    """`dhaga`, in which no further thread is to run: what is kept here is of this one."""
    if hasattr(dhaga, "again"):
        dhaga.again = False
    return dhaga
