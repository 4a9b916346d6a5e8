"""`sys._current_frames` with dhagas in it; trace and profile functions of a dhaga's own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from dhagapatch import _real
from dhagapatch.core import Dhaga, current_dhaga
from dhagapatch.core.hub import all_hubs, hub_for_wait
from dhagapatch.green.wording import worded_by

__all__ = ["current_frames", "setprofile", "settrace"]

_settrace, _setprofile = sys.settrace, sys.setprofile
_RUNTIME = __name__.rpartition(".green.")[0] + "."


def current_frames() -> dict[int, FrameType]:
    frames = _real.current_frames()
    me = current_dhaga()
    here = sys._getframe(1)
    for hub in all_hubs():
        if me is not None or hub.ident != _real.get_ident():
            _show(frames, hub.ident, hub.main.gr_frame)
        for dhaga in list(hub.dhagas):
            _show(frames, dhaga.ident, dhaga.gr_frame)
    frames[_real.get_ident() if me is None else me.ident] = here
    return frames


def _show(frames: dict[int, FrameType], ident: int, frame: FrameType | None) -> None:
    """Where a parked dhaga stands: in the call that waits, not in the runtime below it."""
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith(_RUNTIME):
        frame = frame.f_back
    if frame is not None:
        frames[ident] = frame


def _carry(function: Any) -> None:
    """From now on these functions go with each dhaga; this one's end with it.

    HAZARD: the interpreter keeps them for the OS thread: what a dhaga leaves set would trace all others.
    """
    if function is None:
        return
    hub = hub_for_wait()
    if hub is not None:
        hub.tracing = True
    dhaga = current_dhaga()
    if dhaga is not None:
        if dhaga.on_end is None:
            dhaga.on_end = []
        if _clear not in dhaga.on_end:
            dhaga.on_end.append(_clear)


def _clear(_: Dhaga) -> None:
    _settrace(None)
    _setprofile(None)


def _setter(native: Callable[[Any], None]) -> Callable[[Any], None]:
    def call(function: Any, /) -> None:
        _carry(function)
        native(function)

    return worded_by(native)(call)


settrace, setprofile = _setter(_settrace), _setter(_setprofile)
