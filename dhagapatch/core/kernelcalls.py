"""System calls that wait in the kernel, on native threads that need no interpreter (`_c/pool.h`); else on those of the pool.

Who wakes the caller: its hub, which the thread has woken by its descriptor.  A call can't be taken back; what it gives is dropped
if its caller leaves.  In a forked child there are no such threads, and none of the parent's calls.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from greenlet import getcurrent

from dhagapatch import _real
from dhagapatch._config import SETTINGS
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.extension import speedups
from dhagapatch.core.hub import Hub
from dhagapatch.core.offload import ON_NATIVE_THREAD, offload

__all__ = ["FDATASYNC", "FSYNC", "SYNC", "call_in_kernel"]

FSYNC, FDATASYNC, SYNC = range(3)
_NAMES = ("fsync", "fdatasync", "sync")


def call_in_kernel(hub: Hub, kind: int, fd: int, call: Callable[[], object]) -> float:
    """Make a call while other dhagas run; the seconds that it took.  `call` makes the same one, with errors of its own."""
    if speedups is None or hub.wakes < 0:
        return _on_the_pool(call)
    me: Any = getcurrent()
    try:
        made = speedups.begin_call(kind, fd, hub.wakes, me, SETTINGS.offload_threads)
    except OSError:  # no thread can be had
        return _on_the_pool(call)
    hub.offloaded += 1
    try:
        while True:
            seen = me.dhaga_parks  # HAZARD: before the look: a finalizer may wait in between, and be what is woken
            over = speedups.end_of_call(made)
            if over is not None:
                break
            hub.park(me, None, _NAMES[kind] + ON_NATIVE_THREAD, seen)
    finally:
        hub.offloaded -= 1
    code, seconds = over
    if code:
        raise OSError(code, os.strerror(code))
    return float(seconds)


def _on_the_pool(call: Callable[[], object]) -> float:
    def timed() -> float:
        began = _real.monotonic()
        call()
        return float(_real.monotonic() - began)

    return offload(timed)
