"""What `sys` has for all threads, with dhagas in it; and what it sets for one, for that dhaga alone."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from dhagapatch import _real
from dhagapatch._eager import AtOnce
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import program_frame, running_dhaga
from dhagapatch.core.hub import Hub, all_hubs, current_hub
from dhagapatch.core.monitored import change, leave_tool, tool_in_use
from dhagapatch.core.offload import is_own_native_thread
from dhagapatch.core.threadstate import has_hooks
from dhagapatch.green.wording import worded_by

__all__ = [
    "current_exceptions", "current_frames", "get_lazy_imports_filter", "noted", "restart_events", "set_events",
    "set_lazy_imports_filter", "setprofileallthreads", "settraceallthreads", "use_tool_id",
]  # fmt: skip


def current_frames() -> dict[int, FrameType]:
    frames = _real.current_frames()
    me = running_dhaga()
    here = program_frame(sys._getframe())
    assert here is not None
    for hub in all_hubs():
        if me is not None or hub.ident != _real.get_ident():
            _show(frames, hub.ident, hub.main.gr_frame)
        for dhaga in list(hub.dhagas):
            _show(frames, dhaga.ident, dhaga.gr_frame)
    frames[_real.get_ident() if me is None else me.ident] = here
    return {ident: frame for ident, frame in frames.items() if not is_own_native_thread(ident)}


def _show(frames: dict[int, FrameType], ident: int, frame: FrameType | None) -> None:
    """Where a parked dhaga stands: in the call that waits, not in the runtime below it."""
    frame = program_frame(frame)
    if frame is not None:
        frames[ident] = frame


def current_exceptions() -> dict[int, Any]:
    """The exceptions that are being handled.

    The interpreter keeps a parked dhaga's out of reach: each is asked, in its own turn, to tell it.
    """
    told: dict[int, Any] = _real.current_exceptions()
    hub = current_hub()
    if hub is None:
        return told
    me = running_dhaga()
    here = told[_real.get_ident()]
    asked: dict[int, Any] = {dhaga.ident: dhaga for dhaga in list(hub.dhagas) if dhaga is not me and dhaga.dhaga_parked}
    if me is not None and hub.main.dhaga_parked:
        asked[hub.ident] = hub.main
    for ident, one in asked.items():
        told.pop(ident, None)
        hub.interrupt(one, functools.partial(_tell, told, ident))
    while not told.keys() >= asked.keys():  # what is due is delivered in order: a kill that comes now, after this
        hub.rest()
    told[_real.get_ident() if me is None else me.ident] = here
    return told


@worded_by(_real.settraceallthreads)
def settraceallthreads(function: Any, /) -> None:
    _set_in_all(_real.settrace, function)
    _real.settraceallthreads(function)


@worded_by(_real.setprofileallthreads)
def setprofileallthreads(function: Any, /) -> None:
    _set_in_all(_real.setprofile, function)
    _real.setprofileallthreads(function)


def _set_in_all(set_it: Any, function: Any) -> None:
    """Each dhaga that waits takes the function when it is resumed."""
    for hub in all_hubs():
        for one in (hub.main, *hub.dhagas):
            if one.gr_frame is not None:  # it has begun, and is not the one that runs
                hub.interrupt(one, functools.partial(set_it, function))


@worded_by(_real.set_events)
def set_events(tool_id: int, event_set: int, /) -> None:
    _real.set_events(tool_id, event_set)
    _instrument(tool_id)


@worded_by(_real.restart_events)
def restart_events() -> None:
    _real.restart_events()
    _instrument(tool_in_use())


def _instrument(tool: int | None) -> None:
    """Have the code that parked dhagas are in told of too; from 3.13 on they see to it themselves (`core.monitored`).

    Of functions under way the interpreter reaches those on the stacks of its OS threads; of others it learns when they are called
    anew, so one that loops would not be seen.
    """
    if tool is None:
        return
    codes = set()
    for hub in all_hubs():
        for one in (hub.main, *hub.dhagas):
            frame = one.gr_frame
            while frame is not None:
                codes.add(frame.f_code)
                frame = frame.f_back
    for code in codes:
        change(tool, code)


def noted(real: Callable[..., Any]) -> Callable[..., Any]:
    """`real` sets what each dhaga has for itself, and its hub is to know; the compiled part sees it by itself."""
    if Hub.always_carries:
        return real
    if real.__name__ in ("get_errno", "set_errno"):
        _real.keep_errno(real)
    return _NOTED[real.__name__]


def _set_asyncgen_hooks(*args: Any, **kwargs: Any) -> None:
    _real.set_asyncgen_hooks(*args, **kwargs)
    _note_hooks()


def _set_coroutine_origin_tracking_depth(*args: Any, **kwargs: Any) -> None:
    _real.set_coroutine_origin_tracking_depth(*args, **kwargs)
    _note_hooks()


def _get_errno(*args: Any, **kwargs: Any) -> int:
    value: int = _real.get_errno(*args, **kwargs)
    if value:  # it may come of a foreign function
        _note_hooks()
    return value


def _set_errno(*args: Any, **kwargs: Any) -> int:
    before: int = _real.set_errno(*args, **kwargs)
    _note_hooks()
    return before


_NOTED = {
    function.__name__[1:]: function
    for function in (_set_asyncgen_hooks, _set_coroutine_origin_tracking_depth, _get_errno, _set_errno)
}


def _note_hooks() -> None:
    hub = current_hub()
    if hub is not None:
        hub.carries = has_hooks()


def _tell(told: dict[int, Any], ident: int) -> None:
    told[ident] = sys.exc_info() if isinstance(_SHAPE, tuple) else sys.exc_info()[1]


_SHAPE = next(iter(_real.current_exceptions().values()))  # up to 3.11 a tuple of three, then the exception


@worded_by(_real.use_tool_id)
def use_tool_id(tool_id: int, name: str, /) -> None:
    """A tool of the runtime's, which it has from 3.13 on, gives way."""
    leave_tool(tool_id)
    _real.use_tool_id(tool_id, name)


def set_lazy_imports_filter(filter: Any) -> None:
    """The program's filter, beside the one of the runtime (since 3.15)."""
    _real.set_lazy_imports_filter(AtOnce(filter) if callable(filter) or filter is None else filter)


def get_lazy_imports_filter() -> Any:
    filter = _real.get_lazy_imports_filter()
    return filter.other if type(filter) is AtOnce else filter
