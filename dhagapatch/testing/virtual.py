"""Time that does not pass by itself: for the dhagas of a hub that says so, `time` tells what the hub says.

All others, of the same process and at the same time, are told the real time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.entry import entry_function
from dhagapatch.core.hub import THREAD
from dhagapatch.monkey.rebind import rebind

__all__ = ["Clock", "virtual_time"]

_MONOTONIC, _WALL = 1000.0, 1_700_000_000.0  # seconds: when each run begins
_MANY = 1000
_TICK, _LONG_TICK = 1e-6, 1e-3  # seconds


class Clock:
    """The time of one run.

    Each reading takes a moment, so that who waits for a time in a loop comes to it; if it reads often, longer ones.
    """

    def __init__(self) -> None:
        self.now = _MONOTONIC
        self._readings = 0

    def read(self) -> float:
        """The time, for the program."""
        self._readings += 1
        self.now += _TICK if self._readings < _MANY else _LONG_TICK
        return self.now

    def advance(self, when: float) -> None:
        """Nobody can run before `when`."""
        self._readings = 0
        self.now = max(self.now, when)


def _clock() -> Clock | None:
    return getattr(THREAD.hub, "clock", None)


def _function(real: Any, offset: float, in_ns: bool) -> Callable[[], Any]:
    def read() -> Any:
        clock = _clock()
        if clock is None:
            return real()
        seconds = clock.read() + offset
        return round(seconds * 1e9) if in_ns else seconds

    return read


_NAMES = ("monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "time", "time_ns")
_PAIRS: list[tuple[Any, Any]] = []
for _name in _NAMES:
    _offset = _WALL - _MONOTONIC if _name.startswith("time") else 0.0
    _real_one = getattr(time, _name)
    _PAIRS.append((_real_one, entry_function(_function(_real_one, _offset, _name.endswith("_ns")), _real_one, cost=0)))
del _name, _offset, _real_one


@contextmanager
def virtual_time() -> Iterator[None]:
    """While this lasts, whoever holds a function of `time` asks the clock of its hub, if it has one."""
    real = _real.monotonic

    def monotonic() -> float:
        clock = _clock()
        return real() if clock is None else clock.now

    private = [_PAIRS, *_PAIRS, *(green for _, green in _PAIRS), *(getattr(green, "__dict__", green) for _, green in _PAIRS)]
    holders = rebind(_PAIRS, private=private)
    _real.monotonic = monotonic
    try:
        yield
    finally:
        _real.monotonic = real
        while holders:
            undo = holders.pop().undo
            if undo is not None:
                undo()
        # whoever took one meanwhile
        back = [(green, real) for real, green in _PAIRS]
        rebind(back, private=[back, *back, *private])
