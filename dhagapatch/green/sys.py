"""`sys._current_frames` with dhagas in it; trace functions of a dhaga's own."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from dhagapatch import _real
from dhagapatch.core import current_dhaga
from dhagapatch.core.hub import all_hubs, hub_for_wait
from dhagapatch.green.wording import worded_by

__all__ = ["current_frames", "settrace"]

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


@worded_by(_real.settrace)
def settrace(function: Any, /) -> None:
    """From now on trace functions go with each dhaga.

    `sys.setprofile` is left alone: a profiler would see this function return, which it has not seen called.  The threads
    that `threading.setprofile` profiles are known when they start.
    """
    hub = hub_for_wait() if function is not None else None
    if hub is not None:
        hub.tracing = True
    _real.settrace(function)
