"""The variables of functions that are under way, up to Python 3.12; since then `f_locals` of such a frame writes through.

This reads the interpreter's own structures.  `PyFrame_LocalsToFast` would write all variables, as they were when they were read:
those of another thread's frame may have changed since; and it leaves a dictionary in the frame, which keeps what it holds alive.
Nothing is taken on trust: `check` looks at a frame whose variables are known.  Checked: 3.11.7, 3.12.1.
"""

from __future__ import annotations

import ctypes
import sys
from types import FrameType
from typing import Any

from dhagapatch._real import BUILTINS as __builtins__

__all__ = ["check", "exchange", "variables"]

_pointer = ctypes.c_void_p.from_address
_INTERPRETER_FRAME = 24  # in a frame object, after its head and f_back
_VARIABLES = 72  # in the interpreter's frame: a pointer for each, in the order of `co_varnames`


def _address(frame: FrameType, index: int) -> int:
    inner = _pointer(id(frame) + _INTERPRETER_FRAME).value
    assert inner is not None
    return inner + _VARIABLES + index * ctypes.sizeof(ctypes.c_void_p)


def variables(frame: FrameType) -> list[tuple[str, Any]]:
    """The variables that are bound; of one that inner functions share the cell."""
    found = []
    for index, name in enumerate(frame.f_code.co_varnames):
        address = _address(frame, index)
        if _pointer(address).value is not None:
            try:
                found.append((name, ctypes.py_object.from_address(address).value))
            except ValueError:
                pass  # another thread has just unbound it
    return found


def exchange(frame: FrameType, name: str, old: object, new: object) -> bool:
    """Have the variable hold `new`, if it holds `old` now."""
    place, was, to_be = _pointer(_address(frame, frame.f_code.co_varnames.index(name))), id(old), id(new)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(new))
    # HAZARD: the frame may be another thread's, which must not run between look and change: no call, and no jump back
    if place.value == was: place.value = was = to_be  # noqa: E701  # fmt: skip
    ctypes.pythonapi.Py_DecRef(ctypes.py_object(old if was == to_be else new))
    return was == to_be


def check() -> bool:
    """Whether the others tell the truth in this interpreter."""
    if sys.implementation.name != "cpython" or object.__basicsize__ != 16:
        return False
    first, second = object(), object()

    def asked(one: object, two: object = None) -> tuple[bool, object, object]:
        three = one
        told = variables(sys._getframe()) == [("one", one), ("two", two), ("three", three)]
        return told and exchange(sys._getframe(), "three", one, second), one, three

    return asked(first) == (True, first, second)
