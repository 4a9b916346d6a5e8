"""What runs in an OS thread: its hub, its first greenlet, and asyncio's loop, asked for without importing asyncio.

As long as nobody has imported asyncio there is no loop: then neither the hub nor the program pays for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent, greenlet

from dhagapatch import _real
from dhagapatch._cpython import TASKS_ARE_OF_THREADS
from dhagapatch._real import BUILTINS as __builtins__

if TYPE_CHECKING:
    from dhagapatch.core.hub import Hub

__all__ = [
    "MODULES", "SOURCE", "THREAD", "close_at_thread_end", "enter_loop", "leave_loop", "running_loop", "set_all_running_loops",
    "set_running_loop", "thread_root",
]  # fmt: skip

MODULES = sys.modules
SOURCE = "_asyncio"  # the C module: whoever has it in MODULES may have a running loop


def running_loop() -> Any:
    """The loop that runs in this OS thread; None too while asyncio is not there."""
    module: Any = MODULES.get(SOURCE)
    return module._get_running_loop() if module is not None else None


def set_running_loop(loop: Any) -> None:
    """Nothing to do while asyncio is not there."""
    module: Any = MODULES.get(SOURCE)
    if module is not None:
        module._set_running_loop(loop)


def set_all_running_loops(loop: Any) -> None:
    """The same, also for asyncio's version in Python, if that has been put in its place."""
    set_running_loop(loop)
    events: Any = MODULES.get("asyncio.events")
    setter = getattr(events, "_set_running_loop", None)  # not there yet while it is being imported
    if setter is not None and setter is not getattr(MODULES.get(SOURCE), "_set_running_loop", None):
        setter(loop)


def leave_loop(loop: Any, set_loop: Callable[[Any], object] = set_running_loop) -> tuple[Any, Any]:
    """No loop runs any more; what `enter_loop` is given to have `loop`, the running one, run again, and its task.

    HAZARD: a task that the interpreter keeps for the OS thread is taken out while its loop runs; no other loop could run one.
    """
    task = MODULES[SOURCE]._swap_current_task(loop, None) if loop is not None and TASKS_ARE_OF_THREADS else None
    set_loop(None)
    return loop, task


def enter_loop(kept: tuple[Any, Any], set_loop: Callable[[Any], object] = set_running_loop) -> None:
    """This loop runs again, and in it the task that did."""
    loop, task = kept
    set_loop(loop)
    if task is not None:
        MODULES[SOURCE]._swap_current_task(loop, task)


def thread_root() -> greenlet:
    """The greenlet in which this OS thread began."""
    current = getcurrent()
    while current.parent is not None:
        current = current.parent
    return current


class _ThreadState:
    """The hubs by OS thread.

    HAZARD: not in native thread-local data, which goes with the dhaga where the compiled part carries it (`threadstate`).
    """

    __slots__ = ("_hubs",)

    def __init__(self) -> None:
        self._hubs: dict[int, Hub] = {}

    @property
    def hub(self) -> Hub | None:
        """That of the current OS thread."""
        return self._hubs.get(_real.get_ident())

    @hub.setter
    def hub(self, hub: Hub | None) -> None:
        if hub is None:
            self._hubs.pop(_real.get_ident(), None)
        else:
            self._hubs[_real.get_ident()] = hub

    def forget(self, hub: Hub) -> None:
        """Its OS thread has ended; a new one may have the same identity."""
        if self._hubs.get(hub.ident) is hub:
            del self._hubs[hub.ident]

    def clear(self) -> None:
        """In a forked child the other OS threads are no more."""
        self._hubs.clear()


THREAD = _ThreadState()
_ENDS = _real.local()


class _ThreadEnd:
    """Kept in thread-local data: it goes with its OS thread, and the hub's descriptors with it."""

    __slots__ = ("_hub", "_hubs")

    def __init__(self, hub: Hub, hubs: list[Hub]) -> None:
        self._hub = hub
        self._hubs = hubs

    def __del__(self) -> None:
        THREAD.forget(self._hub)
        if self._hub in self._hubs:
            self._hubs.remove(self._hub)
            self._hub.close()


def close_at_thread_end(hub: Hub, hubs: list[Hub]) -> None:
    """Close `hub`, that of the current OS thread, and take it out of `hubs` when the thread ends."""
    _ENDS.end = _ThreadEnd(hub, hubs)
