"""When nothing can ever run again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dhagapatch._real import BUILTINS as __builtins__

if TYPE_CHECKING:
    from dhagapatch.core.hub import Hub

__all__ = ["is_dead", "quiet_exceptions"]

quiet_exceptions: list[Callable[[], bool]] = []  # further reasons why something may still happen


def is_dead(hub: Hub) -> bool:
    """Whether nothing can ever happen again in this hub; asked when nothing has happened for a while."""
    return not (
        hub.runq
        or hub.offloaded
        or hub.host is not None
        or hub.waits_for_signal
        or not getattr(hub.main, "dhaga_parked", False)
        or hub.netpoll.awaits_events()
        or hub.deadlines.any_live()
        or any(source() for source in quiet_exceptions)
        # HAZARD: last: a native thread may wake somebody, and end, between two of these looks
        or hub._notified
        or hub.inbox
    )
