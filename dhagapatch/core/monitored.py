"""Switches, after which code that is monitored by now is told so: a tracer, a profiler or a tool was turned on meanwhile.

The interpreter has the code of all frames that run changed then, so that it calls the tool.  The frames of a greenlet that is
switched away are not among them: nobody is told of them, and from 3.15 on the interpreter crashes, as it reads what the code has
not got, when an exception passes them.  So whoever is switched to compares the version of what is monitored, which is kept for
the OS thread, with what it was, and has the code of its frames changed itself if that is another one.
Checked: 3.13.0, 3.14.10, 3.15.2; until 3.12 the version can't be read, and nothing is done.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from types import CodeType
from typing import Any

from dhagapatch import _real
from dhagapatch._cpython import CODE_HAS_A_VERSION
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.extension import speedups

__all__ = [
    "catch_up", "change", "leave", "leave_tool", "pass_on", "resume_first", "switch", "tool_in_use",
    "use_compiled",
]  # fmt: skip

_TOOLS = range(5, -1, -1)
_OURS = "dhagapatch"

_changed: dict[int, CodeType] = {}  # by identity: two functions may have equal code
_changed_at = -1


def tool_in_use() -> int | None:
    """Any tool that is: it keeps its events."""
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
    return next((tool for tool in _TOOLS if monitoring.get_tool(tool) is not None), None)


def _tool() -> int:
    """One that is in use.  If there is none, as for a trace function alone, one of ours.

    HAZARD: that one stays, as to give it back would count as another version, and all would have to catch up again.
    """
    tool = tool_in_use()
    if tool is None:
        tool = _TOOLS[1]
        sys.monitoring.use_tool_id(tool, _OURS)  # type: ignore[attr-defined,unused-ignore]
    return tool


def change(tool: int, code: CodeType) -> None:
    """Have the interpreter change this code for all that is monitored: a change for one alone is made at once, with the rest."""
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
    events = monitoring.get_local_events(tool, code)
    monitoring.set_local_events(tool, code, events ^ monitoring.events.LINE)
    monitoring.set_local_events(tool, code, events)


def leave_tool(number: object) -> None:
    """Somebody is about to use this tool."""
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
    if number in _TOOLS and monitoring.get_tool(number) == _OURS:
        monitoring.free_tool_id(number)


def catch_up(version: int) -> None:
    """Have the code of all frames that wait for the caller be what the monitoring of this version asks for."""
    global _changed_at
    tool = _tool()
    if version != _changed_at:
        _changed.clear()
        _changed_at = version
    frame = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if id(code) not in _changed:
            change(tool, code)
            _changed[id(code)] = code
        frame = frame.f_back  # type: ignore[assignment]


# How to switch.  HAZARD: a finalizer may run at any call, or, before 3.12, when an object is made; it may wait, and resume
# anybody.  So no call comes between the last look (at the run queue, and whether the caller has been resumed since `seen`: then
# it does not wait, see `Hub.park`) and the switch itself, which is the method of greenlet, called by name.


def _switch(target: Any, me: object = None, seen: int = 0) -> None:
    target.switch()


def _leave(target: Any, me: Any, seen: int) -> None:
    if me.dhaga_parks == seen:
        target.switch()


def _pass_on(runq: deque[Any], me: Any, seen: int) -> None:
    if me.dhaga_parks == seen and runq:
        first = runq[0]; del runq[0]  # noqa: E702  # fmt: skip
        try:
            first.switch()
        except RecursionError:  # as deep as calls can be, a method of C is one too many; so would another one be
            runq += (first,)
            raise


def _resume_first(runq: deque[Any], me: object = None, seen: int = 0) -> None:
    if runq:
        first = runq[0]; del runq[0]  # noqa: E702  # fmt: skip
        first.switch()


def _catch_up_after(switch: Callable[[Any, Any, int], None]) -> Callable[..., None]:
    """The same, where the version can be read."""
    import ctypes

    get_state: Any = ctypes.pythonapi.PyThreadState_Get
    get_state.argtypes, get_state.restype = (), ctypes.c_void_p
    at, events = 3 * ctypes.sizeof(ctypes.c_void_p), 8  # the version is above these bits

    def and_catch_up(target: Any, me: Any = None, seen: int = 0) -> None:
        try:
            word = _kept.word  # of the OS thread: its state lives as long as that
        except AttributeError:
            word = _kept.word = ctypes.c_size_t.from_address(get_state() + at)
        before = word.value >> events
        switch(target, me, seen)
        after = word.value >> events
        if after != before:
            catch_up(after)

    return and_catch_up


def use_compiled(switch_away: Callable[[Any], object]) -> None:
    """Have the compiled part switch."""
    global switch, leave

    def leave_by_it(target: Any, me: Any, seen: int) -> None:
        if me.dhaga_parks == seen:
            switch_away(target)

    switch, leave = switch_away, leave_by_it


_kept = _real.local()
switch: Callable[[Any], object] = _switch  # to a greenlet
leave: Callable[[Any, Any, int], object] = _leave  # the same, for who waits
pass_on: Callable[[deque[Any], Any, int], object] = _pass_on  # for who waits: to the first of the run queue, which is taken out
resume_first: Callable[[deque[Any]], object] = _resume_first  # the same, for the hub
if CODE_HAS_A_VERSION and speedups is None:
    switch, leave = _catch_up_after(_switch), _catch_up_after(_leave)
    pass_on, resume_first = _catch_up_after(_pass_on), _catch_up_after(_resume_first)
