"""What dhagas wait for, and on whom, put into words: for reports, never for decisions."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any, NamedTuple

from dhagapatch import _real
from dhagapatch._cpython import name_of_thread
from dhagapatch._errors import DeadlockError
from dhagapatch.core import tracking
from dhagapatch.core.hub import Hub, all_hubs
from dhagapatch.core.netpoll import Entry

__all__ = ["Sleeper", "Wait", "cycles", "place", "program_frame", "report", "sleepers", "tell_cycle"]

_RUNTIME = __name__.partition(".")[0] + "."
_SHOWN = 5  # frames of each stack in an error's text
_CONDITION = threading.Condition.wait.__code__


class Wait(NamedTuple):
    """What somebody waits for."""

    kind: str  # lock, condition, end of a thread, descriptor, or other
    text: str
    owner: int = 0  # the identity of who can end it, where that is known


class Sleeper(NamedTuple):
    """A dhaga, or the main one of an OS thread."""

    hub: Hub
    greenlet: Any
    ident: int  # of `threading.get_ident`
    name: str

    @property
    def frame(self) -> FrameType | None:
        """Where it stands; None if it runs just now."""
        frame: FrameType | None = self.greenlet.gr_frame
        return frame

    @property
    def state(self) -> str:
        """Running, ready to run, or parked; "not begun" before its first step."""
        if self.frame is None:
            return "running" if self.greenlet else "not begun"
        return "parked" if getattr(self.greenlet, "parked", False) else "ready"

    @property
    def seconds(self) -> float | None:
        """How long it has waited, to within a turn of the hub."""
        since = getattr(self.greenlet, "since", None)
        return None if since is None or self.state != "parked" else max(0.0, _real.monotonic() - since)

    @property
    def wait(self) -> Wait | None:
        """What it waits for, if it is parked."""
        return _describe(self) if self.state == "parked" else None


def sleepers(hubs: Iterable[Hub] | None = None) -> Iterator[Sleeper]:
    """Everybody: for each hub its main dhaga first."""
    for hub in list(all_hubs()) if hubs is None else hubs:
        yield Sleeper(hub, hub.main, hub.ident, name_of_thread(hub.ident) or "main")
        for dhaga in list(hub.dhagas):  # at once: the hub's own OS thread starts and ends some meanwhile
            yield Sleeper(hub, dhaga, dhaga.ident, name_of_thread(dhaga.ident) or dhaga.name)


def program_frame(frame: FrameType | None) -> FrameType | None:
    """The innermost frame that is not the runtime's own."""
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith(_RUNTIME):
        frame = frame.f_back
    return frame


def place(frame: FrameType) -> str:
    """File, line and function."""
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"


def _describe(sleeper: Sleeper) -> Wait:
    what = sleeper.greenlet.waiting
    if what is None or isinstance(what, str):
        return Wait("other", what or "something")
    if isinstance(what, Entry):
        reads = sleeper.greenlet in what.readers
        return Wait("descriptor", f"descriptor {what.fd} to be {'readable' if reads else 'writable'}")
    ends = getattr(what, "ends_with", None)  # the lock or handle that `Thread.join` waits for
    if ends is not None:
        return Wait("end of a thread", f"the end of {name_of_thread(ends) or 'a thread'}", ends)
    frame = program_frame(sleeper.frame)
    if frame is not None and frame.f_code is _CONDITION:
        return Wait("condition", f"a {type(frame.f_locals.get('self')).__name__} to be notified")
    owner = getattr(what, "_owner", 0) or tracking.owner_of(what)
    text = repr(what)
    if owner and (name := name_of_thread(owner)):
        text += f", held by {name}"
    if made := tracking.place_of(what):
        text += f", made at {made}"
    return Wait("lock", text, owner)


def cycles(hubs: Iterable[Hub] | None = None) -> list[list[Sleeper]]:
    """Those who wait for each other in a ring, as far as it is known who holds what: each ring once.

    A lock that is not owned may be released by anybody: a ring is not for sure a deadlock, unless nothing else can run.
    """
    waiting: dict[int, Sleeper] = {}
    next_of: dict[int, int] = {}
    for sleeper in sleepers(hubs):
        wait = sleeper.wait
        if wait is not None and wait.owner:
            waiting[sleeper.ident] = sleeper
            next_of[sleeper.ident] = wait.owner
    rings = []
    done: set[int] = set()
    for first in next_of:
        path: list[int] = []
        at = first
        while at in next_of and at not in done:
            done.add(at)
            path.append(at)
            at = next_of[at]
        if at in path:
            rings.append([waiting[ident] for ident in path[path.index(at) :]])
    return rings


def report(hub: Hub) -> DeadlockError:
    """What each dhaga waits for, and who waits for each other: for the main one, when nothing can ever run again."""
    lines = sorted(f"{one.name} waits for {wait.text}" for one in sleepers([hub]) if (wait := one.wait) is not None)
    lines += [f"who wait for each other:\n  {tell_cycle(ring)}" for ring in cycles([hub])]
    return DeadlockError(
        "no dhaga can ever run again: none is ready, and no deadline, descriptor or native call is "
        "waited for\n  " + "\n  ".join(lines)
    )


Hub.on_dead = report


def tell_cycle(ring: list[Sleeper]) -> str:
    """The ring, each with what it waits for and the innermost frames of its stack."""
    lines = []
    for sleeper in ring:
        wait = sleeper.wait
        lines.append(f"{sleeper.name} waits for {wait.text if wait is not None else 'nothing any more'}")
        frame = program_frame(sleeper.frame)
        for _ in range(_SHOWN):
            while frame is not None and frame.f_globals.get("__name__") == "threading":
                frame = frame.f_back
            if frame is None:
                break
            lines.append(f"    at {place(frame)}")
            frame = program_frame(frame.f_back)
    return "\n  ".join(lines)
