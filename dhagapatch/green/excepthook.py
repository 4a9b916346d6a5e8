"""What is printed of an uncaught exception: as natively, without the frames of the runtime in it.

`time.sleep` is a C function, so an interrupt in it ends at the user's line; a green one has frames of its own below that.
They are taken out of the traceback just before it is printed, unless ``DHAGAPATCH_FRAMES=1`` asks for them.
"""

from __future__ import annotations

from types import FrameType, TracebackType
from typing import Any

from dhagapatch import _real
from dhagapatch._config import SETTINGS
from dhagapatch._errors import DhagaExit
from dhagapatch._real import BUILTINS as __builtins__

__all__ = ["excepthook", "is_runtime", "strip", "thread_excepthook", "unraisablehook"]

_PACKAGE = __name__.partition(".")[0] + "."


def is_runtime(frame: FrameType) -> bool:
    """Whether it is a frame of this package."""
    return str(frame.f_globals.get("__name__", "")).startswith(_PACKAGE)


def _stripped(traceback: TracebackType | None) -> TracebackType | None:
    while traceback is not None and is_runtime(traceback.tb_frame):
        traceback = traceback.tb_next
    at = traceback
    while at is not None:
        after = at.tb_next
        while after is not None and is_runtime(after.tb_frame):
            after = after.tb_next
        if after is not at.tb_next:
            at.tb_next = after
        at = after
    return traceback


def strip(error: BaseException | None) -> None:
    """Take the runtime's frames out of the traceback of `error`, and of all that is printed with it."""
    if SETTINGS.frames:
        return
    todo: list[BaseException | None] = [error]
    seen: set[int] = set()
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = _stripped(one.__traceback__)
        todo += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            todo += one.exceptions


def excepthook(exctype: Any, value: Any, traceback: Any, /) -> None:
    if isinstance(value, BaseException):
        same = value.__traceback__ is traceback
        strip(value)
        traceback = value.__traceback__ if same else _stripped(traceback) if isinstance(traceback, TracebackType) else traceback
    _real.excepthook(exctype, value, traceback)


def thread_excepthook(args: Any, /) -> None:
    value = getattr(args, "exc_value", None)
    if isinstance(value, DhagaExit):
        return  # killed: as silent as SystemExit
    if isinstance(value, BaseException):
        strip(value)
        if isinstance(args, tuple) and len(args) == 4:
            make: Any = type(args)
            args = make((args[0], value, value.__traceback__, args[3]))
    _real.thread_excepthook(args)


def unraisablehook(unraisable: Any, /) -> None:
    value = getattr(unraisable, "exc_value", None)
    if isinstance(value, BaseException):
        strip(value)  # its first frame is the program's: so the traceback beside it is the same
    _real.unraisablehook(unraisable)
