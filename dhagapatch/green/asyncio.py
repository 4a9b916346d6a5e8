"""asyncio's loops: each turn of one is a place to switch, whatever its selector does.

With the standard library's selectors a loop waits in its turn, and the others run.  One whose selector is the program's own, or
has something ready every time, would hold the OS thread.
"""

from __future__ import annotations

from asyncio.base_events import BaseEventLoop
from typing import Any

from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.budget import LOOK, charge

__all__ = ["run_once"]

_run_once: Any = BaseEventLoop._run_once  # type: ignore[attr-defined]


def run_once(self: BaseEventLoop) -> None:
    charge(LOOK, True)
    _run_once(self)
