"""`cProfile` up to 3.11 in a dhaga: its profiler is C code that the interpreter calls for the OS thread.

Since 3.12 there is one for all threads.

`sys.setprofile` can't put it back, and to disable it would end the calls that it has seen begin.  So the pointers themselves
are taken out and put back.  Checked: 3.11.7.
"""

from __future__ import annotations

import _lsprof
import ctypes
import sys
from typing import Any, NamedTuple

from dhagapatch._cpython import profilers_are_of_threads
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import profiles

__all__ = ["profiled"]

_api = ctypes.pythonapi
_get_state: Any = _api.PyThreadState_Get
_get_state.argtypes, _get_state.restype = (), ctypes.c_void_p
_set_profile: Any = _api.PyEval_SetProfile
_set_profile.argtypes, _set_profile.restype = (ctypes.c_void_p, ctypes.c_void_p), None
_WORD = ctypes.sizeof(ctypes.c_void_p)
_WORDS = 30  # of the thread's state, in which the pointers are
_OBJECT_AFTER_FUNCTION = 2  # words: the function, that for traces, the object


class _Taken(NamedTuple):
    function: int
    profiler: Any


class _CProfiles(profiles.Profiles):
    """Knows C profilers too."""

    def take(self) -> Any:
        profile = sys.getprofile()
        if not isinstance(profile, _lsprof.Profiler):
            return super().take()
        words = (ctypes.c_void_p * _WORDS).from_address(_get_state())
        # the object is known, so it is seen where it is; the function stands before it
        at = next(at for at in range(_OBJECT_AFTER_FUNCTION, _WORDS) if words[at] == id(profile))
        function = words[at - _OBJECT_AFTER_FUNCTION]
        _set_profile(None, None)
        return _Taken(function, profile)

    def put(self, taken: Any) -> None:
        if isinstance(taken, _Taken):
            _set_profile(taken.function, id(taken.profiler))
        else:
            super().put(taken)


def profiled(real: Any) -> Any:
    """What stands for `cProfile.Profile.enable`: the same, but that hubs know of such profilers from now on."""
    if profilers_are_of_threads() and type(profiles.keeper) is profiles.Profiles:
        profiles.keeper = _CProfiles()
    return real
