"""`bdb`, beneath `pdb`: `step` goes over the runtime's own code, as it goes over C code natively.

A signal handler is traced as any function is, so without this a debugger that steps may stop in that of the time slices too.
"""

from __future__ import annotations

import bdb as _stdlib
from types import FrameType
from typing import Any

from dhagapatch._config import SETTINGS
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch._real import pristine
from dhagapatch.green.excepthook import is_runtime

__all__ = ["stop_here"]

_stop_here = pristine(_stdlib, "Bdb.stop_here")


def stop_here(self: Any, frame: FrameType) -> bool:
    # `stopframe` is None while it steps: it would stop at the next line, whoever's that is
    if self.stopframe is None and not SETTINGS.frames and is_runtime(frame):
        return False
    stops: bool = _stop_here(self, frame)
    return stops
