"""asyncio's loops: each turn of one is a place to switch, whatever its selector does.

With the standard library's selectors a loop waits in its turn, and the others run.  One whose selector is the program's own, or
has something ready every time, would hold the OS thread.
"""

from __future__ import annotations

import asyncio.base_events as _stdlib
from typing import Any

from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch._real import pristine
from dhagapatch.core.budget import LOOK, charge

__all__ = ["run_once"]

_run_once = pristine(_stdlib, "BaseEventLoop._run_once")


def run_once(self: Any) -> None:
    charge(LOOK, True)
    _run_once(self)
