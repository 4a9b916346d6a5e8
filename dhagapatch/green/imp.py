"""The global import lock, owned by a dhaga: the native one knows OS threads only."""

from __future__ import annotations

import _imp

from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch._real import pristine
from dhagapatch.green._thread import RLock

__all__ = ["acquire_lock", "after_fork_in_child", "lock_held", "release_lock"]

_lock = RLock()
_release_lock, _lock_held = pristine(_imp, "release_lock"), pristine(_imp, "lock_held")


def acquire_lock() -> None:
    _lock.acquire()


def release_lock() -> None:
    if _lock._is_owned():
        _lock.release()
    else:
        _release_lock()  # taken before the patch; or it raises, with the interpreter's own words


def lock_held() -> bool:
    return _lock._mutex_count > 0 or _lock_held()


def after_fork_in_child() -> None:
    """The child has one dhaga, the one that forked: it holds the lock as often as it did before that."""
    held = _lock._mutex_count - 1
    _lock._at_fork_reinit()
    for _ in range(held):
        _lock.acquire()
