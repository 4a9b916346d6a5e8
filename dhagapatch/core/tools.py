"""What the interpreter keeps for an OS thread of tools that are called: the trace function, and whether such a call is going on.

While a tool's function runs the interpreter calls no tool.  A debugger waits in there, at a breakpoint for as long as its user
likes: other dhagas that run meanwhile must not be taken for a part of that call, or no breakpoint of theirs would be seen.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from dhagapatch._real import BUILTINS as __builtins__

__all__ = ["Tools", "call_unseen", "keeper"]


class Tools(NamedTuple):
    """How it is known, taken out when a dhaga waits, and put back.

    HAZARD: no functions in Python while a trace function is set: a tool that counts calls and returns would see one of them only.
    """

    seen: Callable[[], object]  # None: there is no trace function, and no such call is going on; asked at each wait
    leave: Callable[[], object]  # when no trace function is set any more: how deep it is in such calls; it is in none then
    enter: Callable[[object], object]  # before one is set again: it is as deep in them as before


def _leave() -> None:
    pass


def _enter(_: object) -> None:
    pass


keeper = Tools(sys.gettrace, _leave, _enter)  # what hubs use


def call_unseen(function: Callable[[], object]) -> None:
    """Call `function`, of which no tool is told anything where the compiled part, or a debugger, has the depth kept."""
    depth: Any = keeper.leave()
    if depth is None:
        function()
        return
    keeper.enter(depth + 1)
    try:
        function()
    finally:
        keeper.leave()
        keeper.enter(depth)
