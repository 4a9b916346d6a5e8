"""Dhagas that wait for each other in a ring, while others still run: reported once, when it has stood for a second."""

from __future__ import annotations

import logging

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.hub import all_hubs
from dhagapatch.core.waits import cycles, tell_cycle
from dhagapatch.inspect.stalls import log
from dhagapatch.inspect.watcher import Part

__all__ = ["RingWatch"]

_EVERY = 1.0  # seconds

Ring = frozenset[tuple[int, int]]  # the identity of each, and how often it had been resumed


class RingWatch(Part):
    """A part of the watcher."""

    def __init__(self) -> None:
        self._seen: set[Ring] = set()
        self._told: set[Ring] = set()

    def begin(self) -> None:
        self.at = _real.monotonic() + _EVERY

    def end(self, forked: bool = False) -> None:
        self._seen.clear()
        self._told.clear()

    def act(self, ready: list[int]) -> None:
        self.at = _real.monotonic() + _EVERY
        rings = {frozenset((one.ident, one.greenlet.dhaga_parks) for one in ring): ring for ring in cycles(list(all_hubs()))}
        for key, ring in rings.items():
            if key in self._seen and key not in self._told:
                self._told.add(key)
                names = ", ".join(one.name for one in ring)
                text = f"{names} wait for each other, and none of them can go on:\n  {tell_cycle(ring)}"
                log("dhagapatch.deadlock", logging.ERROR, text, ring[0].name)
        self._seen = set(rings)
        self._told &= self._seen  # what came to an end, by a time-out or a kill
