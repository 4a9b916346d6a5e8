"""`sys._current_frames` with dhagas in it."""

from __future__ import annotations

import sys
from types import FrameType

from dhagapatch import _real
from dhagapatch.core import current_dhaga
from dhagapatch.core.hub import all_hubs

__all__ = ["current_frames"]


def current_frames() -> dict[int, FrameType]:
    frames = _real.current_frames()
    me = current_dhaga()
    here = sys._getframe(1)
    for hub in all_hubs():
        main = hub.main.gr_frame
        if main is not None:
            frames[hub.ident] = main
        for dhaga in list(hub.dhagas):
            frame = here if dhaga is me else dhaga.gr_frame
            if frame is not None:
                frames[dhaga.ident] = frame
    return frames
