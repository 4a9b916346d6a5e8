"""Parts of `threading` that are written for threads in mind: a few of them, and preempted."""

from __future__ import annotations

import functools
import threading as _stdlib
from collections import deque
from collections.abc import Callable
from types import MethodType
from typing import Any

from dhagapatch._cpython import shutdown_locks
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch._real import pristine
from dhagapatch.core.budget import LOOK, charge
from dhagapatch.core.entry import give_way
from dhagapatch.core.offload import is_own_native_thread

__all__ = ["active_count", "enumerate", "is_set", "lighten", "maintain_shutdown_locks"]

_enumerate, _active_count = pristine(_stdlib, "enumerate"), pristine(_stdlib, "active_count")
_is_set = pristine(_stdlib, "Event.is_set")
_maintain: Callable[[], None] = pristine(_stdlib, "_maintain_shutdown_locks") or (lambda: None)  # until 3.12
_LEAST = 64
_sweep_at = _LEAST


def is_set(self: _stdlib.Event) -> bool:
    charge(LOOK, True)
    return _is_set(self)


@functools.wraps(_active_count)
def active_count() -> int:
    # Natively a thread that was told to end has done so a few instructions later.  Here it stands in the run queue until this
    # one waits, and would be counted for as long.
    give_way()
    return sum(not is_own_native_thread(thread.ident) for thread in _enumerate())


@functools.wraps(_enumerate)
def enumerate() -> list[_stdlib.Thread]:
    give_way()
    # code that runs on a native thread of the runtime may have asked who it is, and is a dummy then
    return [thread for thread in _enumerate() if not is_own_native_thread(thread.ident)]


def lighten(function: Callable[..., object]) -> None:
    """Called with what a new thread runs.  A `Thread` has an event, and in it a deque with room for 64 who wait for its start,
    which is its starter: 600 bytes of the 2,500 that a `Thread` takes.
    """
    thread = function.__self__ if type(function) is MethodType else None
    if isinstance(thread, _stdlib.Thread):
        condition: Any = getattr(getattr(thread, "_started", None), "_cond", None)
        waiters = getattr(condition, "_waiters", None)
        if type(waiters) is deque and not waiters:
            condition._waiters = []


@functools.wraps(_maintain)
def maintain_shutdown_locks() -> None:
    # `threading` calls this at each start and each end, and looks at all locks each time: the cost of a start grows with the
    # threads that run.  A dhaga's lock is dropped when it ends (`set_sentinel`); what remains are those of native threads,
    # which are looked for when the set has doubled.
    global _sweep_at
    locks = shutdown_locks()
    if len(locks) >= _sweep_at:
        locks.difference_update([lock for lock in list(locks) if not lock.locked()])
        _sweep_at = max(_LEAST, 2 * len(locks))
