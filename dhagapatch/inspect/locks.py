"""Who holds a lock, and where it was made: for plain locks, which have no owner, this is known only while they are tracked.

The methods of the class are exchanged for ones that write it down, so it costs nothing when it is off.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.dhaga import owner_token
from dhagapatch.core.sync import Lock, NativeLock
from dhagapatch.core.waits import is_runtime, place

__all__ = ["track"]

_BUILDERS = ("threading", "queue")  # modules of the standard library that make locks for others

_init, _acquire, _release, _enter, _exit = Lock.__init__, Lock.acquire, Lock.release, Lock.__enter__, Lock.__exit__
_restore, _acquire_native = Lock._acquire_restore, NativeLock.acquire
_is_on = False


def _made(self: Any) -> None:
    _init(self)
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and (is_runtime(frame) or frame.f_globals.get("__name__") in _BUILDERS):
        frame = frame.f_back
    self._made = "" if frame is None else place(frame)


def _acquired(self: Any, blocking: bool = True, timeout: float = -1) -> bool:
    if _acquire(self, blocking, timeout):
        self._holder = owner_token()
        return True
    return False


def _acquired_native(self: Any, blocking: bool = True, timeout: float = -1) -> bool:
    if _acquire_native(self, blocking, timeout):
        self._holder = owner_token()
        return True
    return False


def _entered(self: Any) -> bool:
    _enter(self)
    self._holder = owner_token()
    return True


def _released(self: Any) -> None:
    self._holder = 0  # first: a moment later somebody else may hold it
    _release(self)


def _left(self: Any, *exc_info: object) -> None:
    self._holder = 0
    _exit(self, *exc_info)


def _restored(self: Any, state: None = None) -> None:
    _restore(self)
    self._holder = owner_token()


def track(wanted: bool) -> None:
    """Track locks, or leave it; what was made or taken before is not known."""
    global _is_on
    if wanted == _is_on:
        return
    _is_on = wanted
    cls: Any = Lock
    native: Any = NativeLock
    native.acquire = native.acquire_lock = native.__enter__ = _acquired_native if wanted else _acquire_native
    if wanted:
        cls.__init__, cls.acquire, cls.release, cls.__enter__, cls.__exit__ = _made, _acquired, _released, _entered, _left
        cls.acquire_lock, cls.release_lock, cls._release_save, cls._acquire_restore = _acquired, _released, _released, _restored
    else:
        cls.__init__, cls.acquire, cls.release, cls.__enter__, cls.__exit__ = _init, _acquire, _release, _enter, _exit
        cls.acquire_lock, cls.release_lock, cls._release_save, cls._acquire_restore = _acquire, _release, _release, _restore
