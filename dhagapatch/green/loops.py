"""Loops that are not asyncio's own, uvloop's for one: whoever runs one in a thread with dhagas has it host the hub by itself.

Such a loop waits in C, in a poller of its own, so none of its waits is a place where dhagas could run.  asyncio's own loops, and
classes derived of them, wait in selectors that are patched, or let the others run at each turn.
"""

from __future__ import annotations

import functools
import warnings
from asyncio import AbstractEventLoop, BaseEventLoop, runners
from collections.abc import Callable
from typing import Any

from dhagapatch._errors import PatchWarning
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch._real import pristine
from dhagapatch.core.host import Host
from dhagapatch.core.hub import current_hub, hub_for_wait
from dhagapatch.green.signal import PLACES

__all__ = ["begin", "hosting", "is_foreign", "lazy_init"]

_lazy_init = pristine(runners, "Runner._lazy_init")


def is_foreign(loop: object) -> bool:
    """Whether it is a loop of another kind than asyncio's."""
    return isinstance(loop, AbstractEventLoop) and not isinstance(loop, BaseEventLoop)


def begin(loop: Any) -> None:
    """In `loop`, which runs: have it host the hub of this OS thread, if there is one, or is to be."""
    hub = hub_for_wait()
    if hub is None:
        return  # it hosts it already; or no dhagas run on this OS thread
    if hub.host is not None and not hub.host.has_ended():
        warnings.warn(
            f"a loop ({type(loop).__module__}.{type(loop).__qualname__}) runs beside another one that hosts the dhagas of this "
            "OS thread, and holds them up while it waits: run it on a native thread (dhagapatch.offload), or use asyncio's loop",
            PatchWarning, stacklevel=2,
        )  # fmt: skip
        return
    Host(hub, loop, automatic=True)


def _offer(loop: Any) -> None:
    """Have it begin with its next turn."""
    if not loop.is_running() and not loop.is_closed():
        loop.call_soon(begin, loop)


def hosting(real: Callable[[Any], object]) -> Callable[[Any], object]:
    """What stands for the `run_forever` of such a loop's class, by which all its other ways to run go."""

    def run_forever(self: Any) -> object:
        _offer(self)
        try:
            return real(self)
        finally:
            hub = current_hub()
            if hub is not None and hub.host is not None and hub.host.loop is self:
                hub.host.has_ended()

    PLACES.add(run_forever.__code__)  # while the loop waits in C, no other frame of Python is there
    return functools.wraps(real)(run_forever)


def lazy_init(self: Any) -> None:
    _lazy_init(self)  # `asyncio.Runner`, and so `asyncio.run`, with a loop of a kind that is not known by name
    if is_foreign(self._loop):
        _offer(self._loop)
