"""What the interpreter keeps for an OS thread, and greenlet does not carry: it goes with the dhaga that has it.

* the dictionary of the thread's state, in which C code keeps what is a thread's own: the guard of `repr`, ctypes' errno, numpy's
  errstate, lxml's parsers, ...  Only the compiled part can exchange it; it does so at each switch.  Without it the errno that
  `ctypes.set_errno` has set, or `ctypes.get_errno` has told, goes with the dhaga too;
* how deep it is in trace functions, if one of those waits: likewise;
* the hooks of async generators, and the depth to which the origin of coroutines is tracked.

The trace and profile functions, and the running asyncio loop, have modules of their own (`profiles`, `running`).  A table of all
that there is stands in docs/reference/thread-state.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import monitored

__all__ = ["Reachable", "Unreachable", "drop_hooks", "has_hooks", "keeper", "put_hooks", "set_keeper", "take_hooks"]

_NO_HOOKS = (None, None)


def has_hooks() -> bool:
    """Whether this thread has hooks of async generators, tracks the origin of coroutines, or, as far as known, an errno."""
    if sys.get_coroutine_origin_tracking_depth() != 0 or sys.get_asyncgen_hooks() != _NO_HOOKS:
        return True
    return _real.get_errno is not None and _real.get_errno() != 0


def take_hooks(hub: Any) -> Any:
    """Take what `has_hooks` tells of out, of who runs: as in a new thread; what `put_hooks` is to be given."""
    errno = 0 if _real.get_errno is None else _real.get_errno()
    taken = sys.get_asyncgen_hooks(), sys.get_coroutine_origin_tracking_depth(), errno, hub.carries
    drop_hooks(hub)
    return taken


def put_hooks(hub: Any, taken: Any) -> None:
    """The thread has these again."""
    hooks, depth, errno, hub.carries = taken
    _real.set_asyncgen_hooks(*hooks)
    _real.set_coroutine_origin_tracking_depth(depth)
    if _real.set_errno is not None:
        _real.set_errno(errno)


def drop_hooks(hub: Any) -> None:
    """The thread has none."""
    _real.set_asyncgen_hooks(None, None)
    _real.set_coroutine_origin_tracking_depth(0)
    if _real.set_errno is not None:
        _real.set_errno(0)
    hub.carries = hub.always_carries


class Unreachable:
    """What only C code can reach, where there is none of ours: the dhagas of an OS thread share it."""

    resume: Callable[[Any, Any], object] | None = None  # `monitored.resume_first(runq)`, from the hub, if that is not enough

    def take(self, hub: Any) -> Any:
        """Take the caller's out; what `put` is to be given."""

    def put(self, hub: Any, taken: Any) -> None:
        """It has this one again."""

    def await_thread(self, hub: Any) -> None:
        """The running dhaga's thread has ended: go to the hub, and come back for another thread, or to end."""
        monitored.switch(hub.greenlet)


class Reachable(Unreachable):
    """By functions of the compiled part."""

    def __init__(self, speedups: Any) -> None:
        self.resume = speedups.resume
        self.take = speedups.take_state  # type: ignore[method-assign]
        self.put = speedups.put_state  # type: ignore[method-assign]
        self.await_thread = speedups.await_thread  # type: ignore[method-assign]


keeper = Unreachable()  # what hubs use


def set_keeper(new: Unreachable) -> None:
    """Use these from now on; before the first hub is made."""
    global keeper
    keeper = new
