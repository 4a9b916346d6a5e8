"""Who holds which lock, and where it was made: opt-in, as it costs each lock operation.

A lock that is not owned knows neither.  While tracking is on, `Lock`'s methods are the ones below, which write it down.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from dhagapatch.core.dhaga import owner_token
from dhagapatch.core.sync import Lock

__all__ = ["is_on", "owner_of", "place_of", "track"]

_owners: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
_places: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
_plain: dict[str, Any] = {}
_PASSED_OVER = (__name__.partition(".")[0], "threading", "queue")  # whose frames are not the place


def owner_of(lock: object) -> int:
    """The identity of who took `lock` last and has not released it; 0 if that is not known."""
    try:
        return _owners.get(lock, 0)
    except TypeError:
        return 0


def place_of(lock: object) -> str:
    """Where it was made, "file:line"; empty if that is not known."""
    block = getattr(lock, "_block", lock)  # an RLock's
    try:
        return _places.get(block, "")
    except TypeError:
        return ""


def is_on() -> bool:
    """Whether locks are tracked."""
    return bool(_plain)


def track(on: bool) -> None:
    """Begin or end writing down who takes and releases locks; those that are held by then are not known."""
    if on == is_on():
        return
    if on:
        _plain.update({name: vars(Lock)[name] for name in _TRACKED})
        for name, make in _TRACKED.items():
            setattr(Lock, name, make(_plain[name]))
    else:
        for name, plain in _plain.items():
            setattr(Lock, name, plain)
        _plain.clear()
        _owners.clear()
        _places.clear()


def _takes(plain: Callable[..., bool]) -> Callable[..., bool]:
    def acquire(self: Lock, *args: Any, **kwargs: Any) -> bool:
        taken = plain(self, *args, **kwargs)
        if taken:
            _owners[self] = owner_token()
        return taken

    acquire.__doc__ = plain.__doc__
    return acquire


def _gives(plain: Callable[..., None]) -> Callable[..., None]:
    def release(self: Lock, *args: Any) -> None:
        _owners.pop(self, None)  # first: the next one may have it before this returns
        plain(self, *args)

    release.__doc__ = plain.__doc__
    return release


def _makes(plain: Callable[..., None]) -> Callable[..., None]:
    def __init__(self: Lock, *args: Any) -> None:
        plain(self, *args)
        frame: Any = sys._getframe(1)
        while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] in _PASSED_OVER:
            frame = frame.f_back
        _places[self] = f"{frame.f_code.co_filename}:{frame.f_lineno}"

    return __init__


_TRACKED: dict[str, Callable[[Any], Any]] = {
    "__init__": _makes, "acquire": _takes, "acquire_lock": _takes, "__enter__": _takes,
    "release": _gives, "release_lock": _gives, "__exit__": _gives,
}  # fmt: skip
