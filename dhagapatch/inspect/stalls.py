"""Stalls: a dhaga that holds its OS thread for long, so that no other one runs.  Its stack is logged while it does.

The watcher looks every so often at who runs in each hub's thread.  The same one at two looks, not resumed in between (`parks`
counts that), held the thread all the while.  So nothing is counted where dhagas switch.  While all hubs wait in their
pollers nobody looks: the end of a poll has the watcher look again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import FrameType
from typing import Any, NamedTuple

from dhagapatch import _real
from dhagapatch._cpython import forget_dummy_thread, name_of_thread
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.hub import Hub, all_hubs, on_new_hub
from dhagapatch.core.poller import POLLS
from dhagapatch.core.waits import sleeper_of
from dhagapatch.inspect.snapshot import Place, running_in, stack_of, tell_stack
from dhagapatch.inspect.watcher import Part, watcher

__all__ = ["Stall", "StallWatch", "log", "longest_stalls"]

_LOOKS = 2  # in the time of the shortest stall: one that is half as long again is always seen
_CLOSER = 4  # times as often while there is one, for the sake of its end
_FEW = 16  # dhagas that are looked through each time; of more, only when the thread's outermost frame was there before
_IDLE = 2  # looks that find all hubs in their pollers, before nobody looks any more
_PLACES = 1000  # that are remembered
_SHOWN = 10


class Stall(NamedTuple):
    """The stalls at one place."""

    place: Place
    name: str  # of the dhaga
    times: int
    longest: float  # seconds
    total: float


_stalls: dict[tuple[str, str], Stall] = {}


def longest_stalls() -> list[Stall]:
    """The places with the longest stalls, the longest first."""
    return sorted(_stalls.values(), key=lambda stall: -stall.longest)[:_SHOWN]


def log(name: str, level: int, text: str, thread_name: str) -> None:
    """A record as from the thread that is told of; the watcher's own is shown to nobody."""
    logger = logging.getLogger(name)
    known = bool(name_of_thread(_real.get_ident()))
    try:
        if logger.isEnabledFor(level):
            record = logger.makeRecord(name, level, __file__, 0, text, (), None)
            record.threadName = thread_name
            logger.handle(record)
    finally:
        if not known:
            forget_dummy_thread(_real.get_ident())


class _Held:
    """Who holds the thread of a hub.  The object itself is kept: its identity could come anew."""

    def __init__(self, who: Any, parks: int, since: float) -> None:
        self.who = who
        self.parks = parks
        self.since = since
        self.place: Place | None = None  # once it is a stall
        self.name = ""
        self.told = False

    def goes_on(self, hub: Hub) -> bool:
        if self.who is None:  # the hub itself: callbacks of its loop
            return hub.netpoll.leaves == self.parks and _in_callbacks(hub)
        return self.who.gr_frame is None and bool(self.who) and self.who.dhaga_parks == self.parks


class StallWatch(Part):
    """A part of the watcher."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._every = seconds / _LOOKS
        self._idle = 0
        self._held: dict[Hub, _Held] = {}
        self._roots: dict[Hub, int] = {}
        self._leave: dict[Hub, Callable[[], None]] = {}
        self._on = False
        on_new_hub(self._on_hub)

    def begin(self) -> None:
        self._on = True
        for hub in list(all_hubs()):
            self._on_hub(hub)
        self.at = _real.monotonic()

    def end(self, forked: bool = False) -> None:
        self._on = False
        self._held.clear()
        self._roots.clear()
        for hub, leave in self._leave.items():
            hub.netpoll.on_leave = leave
        self._leave.clear()

    def _on_hub(self, hub: Hub) -> None:
        if self._on:
            netpoll = hub.netpoll
            leave = self._leave[hub] = netpoll.on_leave

            def counting_leave() -> None:
                netpoll.leaves += 1
                leave()

            netpoll.on_leave = counting_leave
            self._busy()

    def _busy(self) -> None:
        """A hub has something to do again."""
        self.at = _real.monotonic() + self._every
        watcher.wake()

    def act(self, ready: list[int]) -> None:
        hubs = list(all_hubs())
        if self._look(hubs):
            self._idle = 0
        else:
            self._idle += 1
        stalled = any(held.place is not None for held in self._held.values())
        self.at = _real.monotonic() + (self._every / _CLOSER if stalled else self._every)
        if self._idle < _IDLE:
            return
        self._idle = 0
        self.at = None
        self._held.clear()
        self._roots.clear()
        for hub in hubs:
            hub.netpoll.on_busy.append(self._busy)
        # HAZARD: one may have left its poller before it could see that
        if not all(_polls(hub, _real.current_frames().get(hub.ident)) for hub in hubs):
            self.at = _real.monotonic() + self._every

    def _look(self, hubs: list[Hub]) -> bool:
        """Look at each hub; whether one does not wait in its poller."""
        busy = False
        told = []
        frames = _real.current_frames()
        now = _real.monotonic()
        for hub in [hub for hub in list(self._leave) if hub not in hubs]:  # its OS thread has ended
            self._leave.pop(hub)
            self._roots.pop(hub, None)
            if hub in self._held:
                told.append(self._end(self._held.pop(hub), now))
        for hub in hubs:
            frame = frames.get(hub.ident)
            held = self._held.get(hub)
            if held is not None and (frame is None or not held.goes_on(hub)):
                del self._held[hub]
                told.append(self._end(held, now))
                held = None
            if frame is None or _polls(hub, frame):
                self._roots.pop(hub, None)
                continue
            busy = True
            if held is None:
                self._begin(hub, frame, now)
            elif held.place is None and now - held.since >= self._seconds:
                told.append(self._tell(hub, held, frame, now))
        frames.clear()  # HAZARD: whoever holds a frame holds what its function's variables hold
        frame = None
        for record in told:
            if record is not None:
                log("dhagapatch.stall", logging.WARNING, *record)
        return busy

    def _begin(self, hub: Hub, frame: FrameType, now: float) -> None:
        if len(hub.dhagas) > _FEW:
            while frame.f_back is not None:
                frame = frame.f_back
            root = id(frame)
            if self._roots.get(hub) != root:
                self._roots[hub] = root
                return
        who = running_in(hub)
        if who is None and not _in_callbacks(hub):
            return  # between two dhagas
        self._held[hub] = _Held(who, hub.netpoll.leaves if who is None else who.dhaga_parks, now)

    def _tell(self, hub: Hub, held: _Held, frame: FrameType, now: float) -> tuple[str, str] | None:
        stack = stack_of(frame) or stack_of(frame, True)
        held.place = stack[-1]
        held.name = "a callback of the loop" if held.who is None else sleeper_of(hub, held.who).name
        known = _stalls.get((held.place.file, held.place.function))
        if known is not None or len(_stalls) >= _PLACES:
            return None
        held.told = True
        text = f"{held.name} has held the OS thread for {now - held.since:.3f} s, while no other dhaga could run, at"
        return "\n".join((text, *tell_stack(stack))), held.name

    def _end(self, held: _Held, now: float) -> tuple[str, str] | None:
        place = held.place
        if place is None:
            return None
        lasted = now - held.since
        key = (place.file, place.function)
        known = _stalls.get(key)
        if known is not None:
            _stalls[key] = known._replace(
                times=known.times + 1, longest=max(known.longest, lasted), total=known.total + lasted, name=held.name
            )
        elif held.told:
            _stalls[key] = Stall(place, held.name, 1, lasted, lasted)
        if not held.told:
            return None
        text = f"{held.name} held the OS thread for {lasted:.3f} s, at {place.file}:{place.line} in {place.function}"
        return text, held.name


def _in_callbacks(hub: Hub) -> bool:
    """Whether a hub's loop calls its callbacks, and no dhaga runs."""
    return hub.level == 0 and hub._loops is not None


def _polls(hub: Hub, frame: FrameType | None) -> bool:
    """Whether a hub waits in its poller, or for the loop that hosts it: what that does, it alone knows."""
    if frame is None or frame.f_code in POLLS:
        return True
    return hub.host is not None and hub.host.greenlet.gr_frame is None
