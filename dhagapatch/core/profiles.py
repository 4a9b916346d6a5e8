"""The profile function, which the interpreter keeps for the OS thread: it goes with the dhaga that has one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__

__all__ = ["CompiledProfiles", "Profiles", "keeper"]


class Profiles:
    """How it is taken out when a dhaga waits, and put back."""

    def take(self) -> Any:
        """Take it out; what `put` is to be given, or None: there is none."""
        profile = sys.getprofile()
        if not callable(profile):
            return None  # a C profiler's, which only C code could put back: it stays where it is, for all
        _real.setprofile(None)
        return profile

    def put(self, taken: Any) -> None:
        """The thread has this one again."""
        _real.setprofile(taken)


class CompiledProfiles(Profiles):
    """Those of C profilers too, by functions of the compiled part."""

    def __init__(self, take: Callable[[], Any], put: Callable[[Any], None]) -> None:
        self._take, self._put = take, put

    def take(self) -> Any:
        return None if sys.getprofile() is None else self._take()

    def put(self, taken: Any) -> None:
        self._put(taken)


keeper = Profiles()  # what hubs use
