"""The profile function, which the interpreter keeps for the OS thread: it goes with the dhaga that has one."""

from __future__ import annotations

import sys
from typing import Any

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__

__all__ = ["Profiles", "keeper"]


class Profiles:
    """How it is taken out when a dhaga waits, and put back."""

    def take(self) -> Any:
        """Take it out; what `put` is to be given, or None: there is none."""
        profile = sys.getprofile()
        if profile is not None:
            _real.setprofile(None)
        return profile

    def put(self, taken: Any) -> None:
        """The thread has this one again."""
        _real.setprofile(taken)


keeper = Profiles()  # what hubs use
