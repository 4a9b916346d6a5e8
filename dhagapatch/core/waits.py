"""What dhagas wait for, and on whom, put into words: for reports, never for decisions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, NamedTuple

from dhagapatch._cpython import name_of_thread
from dhagapatch._errors import DeadlockError
from dhagapatch.core.hub import Hub
from dhagapatch.core.netpoll import Entry

__all__ = ["Sleeper", "Wait", "cycles", "place", "program_frame", "report", "sleepers", "tell_cycle"]

_RUNTIME = __name__.partition(".")[0] + "."
_SHOWN = 5  # frames of each stack in an error's text
_CONDITION = threading.Condition.wait.__code__


class Wait(NamedTuple):
    """What somebody waits for."""

    text: str
    owner: int = 0  # the identity of who can end it, where that is known


class Sleeper(NamedTuple):
    """A dhaga, or the main one of an OS thread."""

    greenlet: Any
    ident: int  # of `threading.get_ident`
    name: str

    @property
    def frame(self) -> FrameType | None:
        """Where it stands; None if it runs just now."""
        frame: FrameType | None = self.greenlet.gr_frame
        return frame

    @property
    def wait(self) -> Wait | None:
        """What it waits for, if it is parked."""
        return _describe(self) if self.frame is not None and getattr(self.greenlet, "parked", False) else None


def sleepers(hub: Hub) -> Iterator[Sleeper]:
    """Everybody of a hub, its main dhaga first."""
    yield Sleeper(hub.main, hub.ident, name_of_thread(hub.ident) or "main")
    for dhaga in list(hub.dhagas):
        yield Sleeper(dhaga, dhaga.ident, name_of_thread(dhaga.ident) or dhaga.name)


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
        return Wait(what or "something")
    if isinstance(what, Entry):
        reads = sleeper.greenlet in what.readers
        return Wait(f"descriptor {what.fd} to be {'readable' if reads else 'writable'}")
    ends = getattr(what, "ends_with", None)  # the lock or handle that `Thread.join` waits for
    if ends is not None:
        return Wait(f"the end of {name_of_thread(ends) or 'a thread'}", ends)
    frame = program_frame(sleeper.frame)
    if frame is not None and frame.f_code is _CONDITION:
        return Wait(f"a {type(frame.f_locals.get('self')).__name__} to be notified")
    owner = getattr(what, "_owner", 0)  # an RLock's
    text = repr(what)
    if owner and (name := name_of_thread(owner)):
        text += f", held by {name}"
    return Wait(text, owner)


def cycles(hub: Hub) -> list[list[Sleeper]]:
    """Those who wait for each other in a ring, as far as it is known who holds what: each ring once.

    That is known of RLocks and of the ends of threads; a lock that is not owned may be released by anybody.
    """
    waiting: dict[int, Sleeper] = {}
    next_of: dict[int, int] = {}
    for sleeper in sleepers(hub):
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
    lines = sorted(f"{one.name} waits for {wait.text}" for one in sleepers(hub) if (wait := one.wait) is not None)
    lines += [f"who wait for each other:\n  {tell_cycle(ring)}" for ring in cycles(hub)]
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
        places = []
        frame = program_frame(sleeper.frame)
        while frame is not None:
            if frame.f_globals.get("__name__") != "threading":
                places.append(f"    at {place(frame)}")
            frame = program_frame(frame.f_back)
        lines += places[:_SHOWN]
    return "\n  ".join(lines)
