"""Parts of `threading` that are written for threads in mind: a few of them, and preempted."""

from __future__ import annotations

import threading as _stdlib

from dhagapatch._cpython import shutdown_locks
from dhagapatch.core.sync import count_look

__all__ = ["is_set", "maintain_shutdown_locks"]

_is_set = _stdlib.Event.is_set
_LEAST = 64
_sweep_at = _LEAST


def is_set(self: _stdlib.Event) -> bool:
    """Programs ask in a loop."""
    count_look()
    return _is_set(self)


def maintain_shutdown_locks() -> None:
    """Drop the locks of threads that have ended, now and then: `threading` calls this at each start and each end.

    It looks at all locks each time, so the cost of a start grows with the threads that run.  A dhaga's lock is dropped when
    it ends (`set_sentinel`); what remains are those of native threads, which are looked for when the set has doubled.
    """
    global _sweep_at
    locks = shutdown_locks()
    if len(locks) >= _sweep_at:
        locks.difference_update([lock for lock in list(locks) if not lock.locked()])
        _sweep_at = max(_LEAST, 2 * len(locks))
