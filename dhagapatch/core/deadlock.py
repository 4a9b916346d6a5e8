"""When nothing can ever run again: the report that the main dhaga gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dhagapatch._errors import DeadlockError

if TYPE_CHECKING:
    from greenlet import greenlet

    from dhagapatch.core.hub import Hub

__all__ = ["is_dead", "quiet_exceptions", "report"]

quiet_exceptions: list[Callable[[], bool]] = []  # further reasons why something may still happen


def is_dead(hub: Hub) -> bool:
    """Whether nothing can ever happen again in this hub; asked when nothing has happened for a while."""
    return not (
        hub.runq
        or hub.inbox
        or hub.offloaded
        or hub.host is not None
        or hub.waits_for_signal
        or not getattr(hub.main, "parked", False)
        or hub.netpoll.awaits_events()
        or hub.deadlines.any_live()
        or any(source() for source in quiet_exceptions)
    )


def report(hub: Hub) -> DeadlockError:
    """What each dhaga waits for."""
    lines = [_describe(hub.main, "main")]
    lines += [_describe(dhaga, dhaga.name) for dhaga in hub.dhagas]
    return DeadlockError(
        "no dhaga can ever run again: none is ready, and no deadline, descriptor or native call is "
        "waited for\n  " + "\n  ".join(sorted(lines))
    )


def _describe(sleeper: greenlet, name: str) -> str:
    what = getattr(sleeper, "waiting", None)
    return f"{name} waits for {what if isinstance(what, str) else repr(what)}"
