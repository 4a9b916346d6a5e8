"""The functions through which `traceback` sees a stack or a traceback, and with it `logging` and much else."""

from __future__ import annotations

import functools
import traceback as _stdlib
from collections.abc import Callable, Iterator
from typing import Any

from dhagapatch._config import SETTINGS
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.waits import LAUNCHER
from dhagapatch.green.excepthook import is_runtime

__all__ = ["walk_positions", "walk_stack", "walk_tb"]

_walk_tb = _stdlib.walk_tb
_walk_stack = _stdlib.walk_stack
_walk_positions: Callable[[Any], Iterator[Any]] = _stdlib._walk_tb_with_full_positions  # type: ignore[attr-defined]


def _is_shown(frame: Any) -> bool:
    return SETTINGS.frames or not (is_runtime(frame) or frame.f_code.co_filename == LAUNCHER)


@functools.wraps(_walk_tb)
def walk_tb(tb: Any) -> Iterator[Any]:
    for frame, line in _walk_tb(tb):
        if _is_shown(frame):
            yield frame, line


@functools.wraps(_walk_positions)
def walk_positions(tb: Any) -> Iterator[Any]:
    for frame, place in _walk_positions(tb):
        if _is_shown(frame):
            yield frame, place


@functools.wraps(_walk_stack)
def walk_stack(f: Any) -> Iterator[Any]:
    found = iter(_walk_stack(f))
    if f is None:
        next(found, None)  # it counts from its own frame, which has this one behind it
    for frame, line in found:
        if frame.f_code.co_filename == LAUNCHER and not SETTINGS.frames:
            return  # the program stands upon that
        if _is_shown(frame):
            yield frame, line
