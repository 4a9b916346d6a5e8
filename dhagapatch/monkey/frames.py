"""Local variables of functions that are under way: holders that the garbage collector does not know.

A frame is on some native thread's stack, on the stack of a greenlet that is suspended, in a generator or coroutine, or kept by a
traceback.  Variables that inner functions share are in cells, and those of modules and classes in dictionaries: the
collector knows both.  What lies on the evaluation stack (the arguments of a call that is under way, the lock of a `with` block
on Python 3.14) stays what it is.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any

from greenlet import greenlet

from dhagapatch import _real
from dhagapatch._cpython import LOCALS_ARE_KEPT, LOCALS_ARE_WRITTEN_THROUGH
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.hub import all_hubs
from dhagapatch.core.waits import LAUNCHER
from dhagapatch.monkey.heap import objects_of, subclasses_of
from dhagapatch.monkey.rebind import KEPT, Holder

__all__ = ["Frames", "suspending_kinds"]

_FOLDER = os.path.join(os.path.dirname(LAUNCHER), "")
# nothing that is replaced is a variable there
_PASSED = (
    "runpy", "site", "importlib._bootstrap", "importlib._bootstrap_external", "_frozen_importlib", "_frozen_importlib_external",
)  # fmt: skip
_OPTIMIZED = 1  # a flag of code: its variables are in the frame, not in a dictionary


def suspending_kinds() -> set[type]:
    """The classes of the collector's objects that have a frame."""
    return {GeneratorType, CoroutineType, AsyncGeneratorType, FrameType, *subclasses_of(greenlet)}


def _frame_of(thing: Any) -> FrameType | None:
    for name in ("gr_frame", "gi_frame", "cr_frame", "ag_frame"):
        if hasattr(thing, name):
            frame: FrameType | None = getattr(thing, name)
            return frame
    return thing if isinstance(thing, FrameType) else None


class Frames:
    """The program's functions that are under way now; the runtime's own are none of them."""

    def __init__(self, suspended: Iterable[Any] | None = None) -> None:
        """`suspended` are the collector's objects of `suspending_kinds`; without them they are looked for."""
        if suspended is None:
            suspended = objects_of(suspending_kinds())
        todo = [*_real.current_frames().values(), *map(_frame_of, suspended)]
        for hub in all_hubs():
            todo += [one.gr_frame for one in (hub.main, *hub.dhagas)]
        known: dict[int, FrameType] = {}
        while todo:
            frame = todo.pop()
            while frame is not None and id(frame) not in known:
                if not _is_ours(frame):  # HAZARD: this function's own would be a cycle
                    known[id(frame)] = frame
                frame = frame.f_back
        self._frames = [frame for frame in known.values() if _is_of_interest(frame)]

    def values(self, kinds: set[type]) -> list[Any]:
        """The objects of these classes that local variables hold."""
        return [value for frame in self._frames for _, value in _locals(frame) if type(value) in kinds]

    def rebind(self, pairs: Iterable[tuple[Any, Any]]) -> list[Holder]:
        """Have the variables that hold `old` hold `new`, for each (old, new); what was found, changed or not."""
        new = {id(old): (old, new) for old, new in pairs}
        found: list[Holder] = []
        for frame in self._frames if new else ():
            for name, value in _locals(frame):
                olds, instead = _instead(value, new)
                if olds:
                    done = _exchange(frame, name, value, instead)
                    module = str(frame.f_globals.get("__name__"))
                    holder = f"a variable of {frame.f_code.co_qualname}()"
                    file = frame.f_code.co_filename
                    found += [Holder(old, holder, name, module, file, None, done, None) for old in olds]
        return found


def _instead(value: Any, new: dict[int, tuple[Any, Any]]) -> tuple[list[int], Any]:
    """What a variable is to hold; a tuple made anew if some of its items, whose ids come first, are exchanged."""
    if id(value) in new:
        return [id(value)], new[id(value)][1]
    if type(value) is not tuple:
        return [], value
    each = [_instead(item, new) for item in value]
    olds = [old for some, _ in each for old in some]
    return olds, tuple([instead for _, instead in each]) if olds else value


def _is_ours(frame: FrameType) -> bool:
    """By its file: the launcher's module, and what patches a child, have names that are the program's too."""
    return frame.f_code.co_filename.startswith(_FOLDER)


def _is_of_interest(frame: FrameType) -> bool:
    return bool(frame.f_code.co_flags & _OPTIMIZED) and frame.f_globals.get("__name__") not in _PASSED


_exact: bool | None = None  # whether the variables can be read; asked once


def _below() -> Any:
    """What reads them; None where it does not know the interpreter."""
    global _exact
    module: Any = importlib.import_module("dhagapatch._locals")
    if _exact is None:
        _exact = module.check()
    return module if _exact else None


def _locals(frame: FrameType) -> list[tuple[str, Any]]:
    if LOCALS_ARE_WRITTEN_THROUGH:
        return list(frame.f_locals.items())
    below = _below()
    return [] if below is None else list(below.variables(frame))


def _exchange(frame: FrameType, name: str, old: Any, new: Any) -> bool:
    if not LOCALS_ARE_WRITTEN_THROUGH:
        return bool(_below().exchange(frame, name, old, new))
    variables = frame.f_locals
    if LOCALS_ARE_KEPT:
        _note(old)
    # HAZARD: the frame may be another thread's, which must not run between look and change: no call, and no jump back
    if variables[name] is old: variables[name] = new; old = new  # noqa: E701, E702  # fmt: skip
    return old is new


def _note(old: Any) -> None:
    """The frame keeps this value, and the tuples in it."""
    KEPT.add(id(old))
    for item in old if type(old) is tuple else ():
        if type(item) is tuple:
            _note(item)
