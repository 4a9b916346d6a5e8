"""Figures of the scheduler.  Most can be had by looking; what must be counted is counted only while inspection is on.

Counting costs nothing when it is off: a hub's turn, its poll and its `park` are exchanged for ones that count.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from greenlet import greenlet

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import compiled
from dhagapatch.core.hub import Hub, all_hubs, on_new_hub
from dhagapatch.core.offload import figures
from dhagapatch.inspect.snapshot import running_in

__all__ = ["BOUNDS", "count", "stats"]

BOUNDS = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # seconds


class _Counts:
    """Of one hub; only its own OS thread changes them."""

    def __init__(self) -> None:
        self.turns = self.switches = self.parks = self.polls = 0
        self.lags = [0] * (len(BOUNDS) + 1)
        self.longest = 0.0

    def add(self, other: _Counts) -> None:
        self.turns += other.turns
        self.switches += other.switches
        self.parks += other.parks
        self.polls += other.polls
        self.lags = [a + b for a, b in zip(self.lags, other.lags, strict=True)]
        self.longest = max(self.longest, other.longest)

    def turn(self, turn: Callable[[], int]) -> Callable[[], int]:
        def counting_turn() -> int:
            ready = turn()
            if ready:
                self.turns += 1
                self.switches += ready
            return ready

        return counting_turn

    def poll(self, poll: Callable[[float | None], Any]) -> Callable[[float | None], Any]:
        clock = _real.monotonic
        ended = clock()

        def timing_poll(timeout: float | None) -> Any:
            nonlocal ended
            lag = clock() - ended
            self.lags[bisect_left(BOUNDS, lag)] += 1
            if lag > self.longest:
                self.longest = lag
            self.polls += 1
            try:
                return poll(timeout)
            finally:
                ended = clock()

        return timing_poll

    def park(self, park: Callable[..., bool]) -> Callable[..., bool]:
        clock = _real.monotonic

        def timed_park(me: greenlet, deadline: float | None, what: object, seen: int) -> bool:
            self.parks += 1
            me.dhaga_since = clock()  # for dumps
            return park(me, deadline, what, seen)

        return timed_park


class _Counting:
    """What is counted of all hubs."""

    def __init__(self) -> None:
        self.since = _real.monotonic()
        self.pid = _real.os_getpid()
        self._ended = _Counts()  # of hubs that are no more
        self._of: dict[Hub, _Counts] = {}
        self._before: dict[Hub, Callable[[], int]] = {}
        for hub in list(all_hubs()):
            self.begin(hub)

    def begin(self, hub: Hub) -> None:
        """From this hub's next run of turns on."""
        self._fold()
        counts = self._of[hub] = _Counts()
        poller: Any = hub.netpoll
        self._before[hub] = poller._turn
        poller._turn, poller._poll = counts.turn(poller._turn), counts.poll(poller._poll)
        hub.park, hub.counted = counts.park(hub.park), True  # type: ignore[method-assign]
        _run_anew(hub)

    def end(self) -> None:
        for hub in self._of:
            poller: Any = hub.netpoll
            poller._turn = self._before[hub]
            del poller._poll, hub.park
            hub.counted = False
            for one in (hub.main, *list(hub.dhagas)):
                vars(one).pop("dhaga_since", None)
            if not hub.abandoned:
                _run_anew(hub)

    def _fold(self) -> None:
        for hub in [hub for hub in self._of if hub not in all_hubs()]:
            self._ended.add(self._of.pop(hub))
            del self._before[hub]

    def total(self) -> _Counts:
        self._fold()
        total = _Counts()
        for counts in (self._ended, *list(self._of.values())):
            total.add(counts)
        return total


def _run_anew(hub: Hub) -> None:
    """What runs its turns has the function at hand: have it begin anew."""
    hub.netpoll.loop_work = True
    hub.notify()


_counting: _Counting | None = None


_prepared = False


def count(wanted: bool) -> None:
    """Begin to count, or end it."""
    global _counting, _prepared
    if not _prepared:
        _prepared = True
        on_new_hub(_on_hub)
    if wanted and _counting is None:
        _counting = _Counting()
    elif not wanted and _counting is not None:
        _counting.end()
        _counting = None


def _on_hub(hub: Hub) -> None:
    """A hub was made; in a forked child, whose counts begin anew, the first one."""
    global _counting
    if _counting is None:
        return
    if _counting.pid != _real.os_getpid():
        _counting = _Counting()  # it finds the hub
    else:
        _counting.begin(hub)


def stats() -> dict[str, Any]:
    """See `dhagapatch.stats`."""
    hubs = list(all_hubs())
    dhagas = [one for hub in hubs for one in (hub.main, *list(hub.dhagas))]
    parked = sum(bool(one.dhaga_parked) for one in dhagas)
    running = sum(running_in(hub) is not None for hub in hubs)
    result: dict[str, Any] = {
        "pid": _real.os_getpid(),
        "compiled": compiled.speedups is not None,
        "hubs": len(hubs),
        "dhagas": len(dhagas),
        "running": running,
        "ready": max(len(dhagas) - parked - running, 0),
        "parked": parked,
        "resumed": sum(one.dhaga_parks for one in dhagas),
        "deadlines": sum(len(hub.deadlines) for hub in hubs),
        "descriptors": sum(sum(1 for one in list(hub.entries.values()) if one.registered) for hub in hubs),
        "offload": {"calls": sum(hub.offloaded for hub in hubs), **figures()},
        "counting": None,
    }
    if _counting is not None and _counting.pid == _real.os_getpid():
        total = _counting.total()
        result["counting"] = {
            "seconds": _real.monotonic() - _counting.since,
            "turns": total.turns, "switches": total.switches, "parks": total.parks, "polls": total.polls,
            "lag": [[bound, number] for bound, number in zip((*BOUNDS, None), total.lags, strict=True)],
            "longest_lag": total.longest,
        }  # fmt: skip
    return result
