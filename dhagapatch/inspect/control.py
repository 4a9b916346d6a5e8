"""What of this package is turned on."""

from __future__ import annotations

from typing import Any

from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.inspect.signals import set_dump_signal
from dhagapatch.inspect.watcher import Part, watcher

__all__ = ["turn"]


Wanted = dict[str, Any]  # dump_signal, stall, track_locks, inspect, as in `patch_all`

_now: Wanted = {"dump_signal": 0, "stall": 0.0, "track_locks": False, "inspect": ""}
_parts: dict[str, Part] = {}


def turn(wanted: Wanted, must: set[str]) -> Wanted:
    """Turn on what is wanted, and off what is not; what is on.

    For what is in `must` a DhagapatchError is raised if it can't be had: a signal that the program handles or ignores already,
    a path that another process listens at.  Otherwise the signal is left, and the path gets the process's number at its end.
    """
    global _now
    before, _now = _now, {**wanted, "dump_signal": set_dump_signal(wanted["dump_signal"], "dump_signal" in must)}
    if wanted["track_locks"] != before["track_locks"]:
        from dhagapatch.inspect.locks import track

        track(wanted["track_locks"])
    if wanted["stall"] != before["stall"]:
        from dhagapatch.inspect.stalls import StallWatch

        _have("stall", StallWatch(wanted["stall"]) if wanted["stall"] else None)
    if wanted["inspect"] != before["inspect"]:
        from dhagapatch.inspect.counts import count
        from dhagapatch.inspect.server import Server

        _have("inspect", Server(wanted["inspect"], "inspect" in must) if wanted["inspect"] else None)
        count(bool(wanted["inspect"]))
    looks = bool(wanted["stall"] or wanted["inspect"] or wanted["track_locks"])
    if looks != ("rings" in _parts):
        from dhagapatch.inspect.rings import RingWatch

        _have("rings", RingWatch() if looks else None)
    return _now


def _have(name: str, part: Part | None) -> None:
    """This part in the place of one that may be there."""
    before = _parts.pop(name, None)
    if before is not None:
        watcher.remove(before)
    if part is not None:
        watcher.add(part)
        _parts[name] = part
