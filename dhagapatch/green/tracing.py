"""How deep an OS thread is in calls of tools, without the compiled part: read and set where the interpreter keeps it.

Which of the words of the thread's state that is, the interpreter tells itself: it is the one that `PyThreadState_EnterTracing`
adds one to.  Checked: 3.11.7, 3.12.1, 3.13.0.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import compiled, tools

__all__ = ["install"]

_api = ctypes.pythonapi
_get_state: Any = _api.PyThreadState_Get
_get_state.argtypes, _get_state.restype = (), ctypes.c_void_p
_enter: Any = _api.PyThreadState_EnterTracing
_leave: Any = _api.PyThreadState_LeaveTracing
_enter.argtypes = _leave.argtypes = (ctypes.c_void_p,)
_enter.restype = _leave.restype = None
_WORDS = 60  # of the thread's state, 32 bits each


def _find() -> int:
    """Where it is, in bytes from the state's beginning; -1 if that is not clear."""
    state = _get_state()
    words = (ctypes.c_int * _WORDS).from_address(state)
    before = list(words)
    _enter(state)
    inside = list(words)
    _leave(state)
    found = [at for at in range(_WORDS) if inside[at] == before[at] + 1]
    return found[0] * ctypes.sizeof(ctypes.c_int) if len(found) == 1 else -1


_AT = _find()


def _seen() -> object:
    trace = sys.gettrace()
    return trace if trace is not None else ctypes.c_int.from_address(_get_state() + _AT).value or None


def _depart() -> int:
    depth = ctypes.c_int.from_address(_get_state() + _AT)
    left, depth.value = depth.value, 0
    return left


def _return(depth: Any) -> None:
    word = ctypes.c_int.from_address(_get_state() + _AT)
    word.value = depth


def install() -> None:
    """From now on hubs know of such calls; the compiled part does so from the beginning."""
    if compiled.speedups is None and _AT >= 0:
        tools.keeper = tools.Tools(_seen, _depart, _return)
