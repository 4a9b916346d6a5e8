"""What asyncio keeps for an OS thread, the running loop and the async-generator hooks, asked for without importing asyncio.

As long as nobody has imported asyncio there is no loop: then neither the hub nor the program pays for it.
"""

from __future__ import annotations

import sys
from typing import Any

from greenlet import getcurrent, greenlet

from dhagapatch._real import BUILTINS as __builtins__

__all__ = ["MODULES", "SOURCE", "running_loop", "set_all_running_loops", "set_running_loop", "thread_root"]

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


def thread_root() -> greenlet:
    """The greenlet in which this OS thread began."""
    current = getcurrent()
    while current.parent is not None:
        current = current.parent
    return current
