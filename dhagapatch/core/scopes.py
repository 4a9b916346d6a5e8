"""Stretches of code with a deadline, and stretches that are not to be cut short.

What ends a dhaga's wait from outside (a kill, a cancelled task, a `Timeout`) is an exception of ours, due at its next
wait.  Who takes it off again: the wait that raises it, or the `Timeout` when its block is left before that.  A `shield` holds it
back; who gives it back is the shield, when it is left.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

from greenlet import getcurrent

from dhagapatch import _real
from dhagapatch._errors import DhagaExit
from dhagapatch.core.alarms import Alarm
from dhagapatch.core.hub import Hub, hub_for_wait
from dhagapatch.core.interrupts import deliver_all, restore

__all__ = ["Timeout", "shield"]


class _Expired(DhagaExit):
    """What a `Timeout` raises in its block."""


class Timeout:
    """A block of code that may take so many seconds; ``with Timeout(5): legacy()`` raises TimeoutError when they are over.

    The wait in which the block is then ends with an exception that ``except Exception`` does not swallow, and that becomes
    TimeoutError where the block ends; code that computes is interrupted at its next wait.  Timeouts nest: the outer one
    ends the inner one's block.  None: no limit, until `reschedule` sets one.  Each is used once.

    ValueError for what is no number of seconds; RuntimeError where nothing can be interrupted (an OS thread
    that runs no dhagas, a callback of the hub's loop), and for a second use.

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
        self._marker: _Expired | None = None

    def __enter__(self) -> Timeout:
        if self._used:
            raise RuntimeError("a Timeout is used once; make another one")
        self._hub = _hub("Timeout")
        self._used = True
        self._dhaga = getcurrent()
        self._scope = getattr(self._dhaga, "scope", None)
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
        self._marker = _Expired(f"the block's {self.seconds} s are over")
        self._marker.scope = self._scope  # a shield within the block holds it back, one round it does not
        self._hub.interrupt(self._dhaga, self._marker)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        dhaga, self._dhaga, self._hub = self._dhaga, None, None
        if self._alarm is not None:
            self._alarm.cancel()
        if self._marker is None:
            return
        if error is self._marker:
            raise TimeoutError(f"the block's {self.seconds} s are over") from error
        # HAZARD: the block ended before it was raised, and it must not hit what comes after
        if dhaga.interrupts is not None and self._marker in dhaga.interrupts:
            dhaga.interrupts.remove(self._marker)


class shield:
    """A block that is not cut short, ``with shield(): commit()``.

    Kills, cancellations and the ends of `Timeout` blocks round it are held back, and raised when it is left; if that is by
    an exception, at the next wait.  A `Timeout` within the block counts as ever, and so do signal handlers and
    KeyboardInterrupt.  Shields nest.

    RuntimeError where there is nothing to be shielded from: an OS thread that runs no dhagas, a callback of the hub's loop.

    .. versionadded:: 0.1
    """

    def __init__(self) -> None:
        self.held: list[DhagaExit] = []
        self._outer: shield | None = None
        self._dhaga: Any = None

    def __enter__(self) -> shield:
        if self._dhaga is not None:
            raise RuntimeError("this shield is in use; make another one")
        _hub("shield")
        self._dhaga = getcurrent()
        self._outer = getattr(self._dhaga, "scope", None)
        self._dhaga.scope = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        dhaga, self._dhaga = self._dhaga, None
        dhaga.scope = self._outer
        held, self.held = self.held, []
        if held:
            restore(dhaga, held)
            if error is None and getcurrent() is dhaga:
                deliver_all(dhaga)


def _hub(what: str) -> Hub:
    hub = hub_for_wait()
    if hub is None:
        raise RuntimeError(
            f"{what} has nothing to interrupt here: use it in a dhaga, or in the main thread; "
            "another OS thread needs dhagapatch.get_hub() first, and a coroutine has asyncio.timeout and asyncio.shield"
        )
    return hub
