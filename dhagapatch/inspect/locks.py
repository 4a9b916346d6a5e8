"""Who holds a lock, and where it was made: for plain locks, which have no owner, this is known only while they are tracked.

The methods of the class are exchanged for ones that write it down, so it costs nothing when it is off.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.dhaga import owner_token
from dhagapatch.core.sync import Lock, NativeLock, RLock
from dhagapatch.core.waits import is_runtime, place

__all__ = ["track"]

_BUILDERS = ("threading", "queue")  # modules of the standard library that make locks for others

_MAKE = ("__init__",)
_TAKE = ("acquire", "acquire_lock", "__enter__", "_acquire_restore")
_GIVE = ("release", "release_lock", "_release_save", "__exit__")
_is_on = False


def _making(init: Callable[..., None]) -> Callable[..., None]:
    def made(self: Any, *args: Any) -> None:
        init(self, *args)
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and (is_runtime(frame) or frame.f_globals.get("__name__") in _BUILDERS):
            frame = frame.f_back
        self._made = "" if frame is None else place(frame)

    return made


def _taking(take: Callable[..., bool | None]) -> Callable[..., bool | None]:
    @functools.wraps(take)
    def taken(self: Any, *args: Any, **kwargs: Any) -> bool | None:
        got = take(self, *args, **kwargs)
        if got is not False:
            self._holder = owner_token()
        return got

    return taken


def _giving(give: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(give)
    def given(self: Any, *args: Any) -> None:
        self._holder = 0  # first: a moment later somebody else may hold it
        give(self, *args)

    return given


_ALL: Any = ((_MAKE, _making), (_TAKE, _taking), (_GIVE, _giving))
_PLAIN = [
    (cls, name, vars(cls)[name], tracking)
    for cls, kinds in ((Lock, _ALL), (NativeLock, _ALL), (RLock, _ALL[:1]))  # who holds an RLock is known anyway
    for names, tracking in kinds
    for name in names
    if name in vars(cls)
]


def track(wanted: bool) -> None:
    """Track locks, or leave it; what was made or taken before is not known."""
    global _is_on
    if wanted == _is_on:
        return
    _is_on = wanted
    for cls, name, method, tracking in _PLAIN:
        setattr(cls, name, tracking(method) if wanted else method)
