"""What can be had of the interpreter without the compiled part.

**Methods of C types** that Python code may not set, set all the same.

``vars(kind)`` of a class is a view of a dictionary, and the collector knows which: what is put in there is found by every
look-up once the interpreter has been told that the class was modified.  So every instance follows, also those that C code makes.
That is for plain methods: the special ones (``__init__``, ``__next__``) are called through the C structure, of which only the
place for iteration can be changed here.  Nothing is taken on trust: after each change the class is asked.
Checked: 3.11.7, 3.12.1, 3.13.0.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from typing import Any

from dhagapatch._real import BUILTINS as __builtins__

__all__ = ["add_pending_call", "is_fixed", "iterate_as", "set_method", "signal_at_next_look"]

_IMMUTABLE, _HEAP = 1 << 8, 1 << 9  # flags of a type

_type_modified: Any = ctypes.pythonapi.PyType_Modified
_type_modified.argtypes = (ctypes.py_object,)
_type_modified.restype = None


def is_fixed(kind: type) -> bool:
    """Whether Python code may not set attributes of this class."""
    return bool(kind.__flags__ & _IMMUTABLE) or not kind.__flags__ & _HEAP


def set_method(kind: type, name: str, value: Any) -> bool:
    """Have `kind` hold `value` as `name`, which it has already; whether that came to pass."""
    found = [one for one in gc.get_referents(vars(kind)) if type(one) is dict]
    if len(found) != 1 or name not in found[0]:
        return False
    before = found[0][name]
    found[0][name] = value
    _type_modified(kind)
    if vars(kind).get(name) is value:
        return True
    found[0][name] = before
    _type_modified(kind)
    return False


add_pending_call: Any = ctypes.pythonapi.Py_AddPendingCall
add_pending_call.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
_set_interrupt = ctypes.cast(ctypes.pythonapi.PyErr_SetInterruptEx, ctypes.c_void_p)


def signal_at_next_look(signum: int) -> bool:
    """Have the handler of a signal called when the interpreter looks for signals, next but one; whether that is done.

    HAZARD: the next look is in this frame.  So what it calls there, when it has looked, is only what sends the signal; and who
    calls this must do nothing after it, or its own frame is the one in which the handler is called.
    """
    return not add_pending_call(_set_interrupt, signum)


_ITER, _ITERNEXT = 27, 28  # places of `tp_iter` and `tp_iternext` in the structure of a type, in words
_WORD = ctypes.sizeof(ctypes.c_void_p)


def iterate_as(kind: type, other: type) -> Callable[[], None] | None:
    """Have `kind` get the next item of an iteration as its base `other` does; how to take that back, None if it can't be."""

    def place(of: type, number: int) -> Any:
        return ctypes.c_void_p.from_address(id(of) + number * _WORD)

    if other not in kind.__mro__ or not place(kind, _ITER).value or place(kind, _ITER).value != place(other, _ITER).value:
        return None  # the structure is not as it was
    before = place(kind, _ITERNEXT).value

    def undo() -> None:
        place(kind, _ITERNEXT).value = before

    place(kind, _ITERNEXT).value = place(other, _ITERNEXT).value
    return undo
