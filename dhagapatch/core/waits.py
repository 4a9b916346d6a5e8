"""What dhagas wait for, and on whom, put into words: for reports, never for decisions."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any, NamedTuple

from dhagapatch._cpython import name_of_thread
from dhagapatch._errors import DeadlockError
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.dhaga import find_dhaga
from dhagapatch.core.hub import Hub
from dhagapatch.core.netpoll import Entry
from dhagapatch.core.offload import ON_NATIVE_THREAD

__all__ = [
    "LAUNCHER", "Sleeper", "Wait", "cycles", "is_runtime", "made_at", "name_of", "owner_of", "place", "program_frame", "report",
    "sleeper_of", "sleepers", "tell_cycle",
]  # fmt: skip

LAUNCHER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "__main__.py")  # a program begins above it
_RUNTIME = __name__.partition(".")[0] + "."
_KINDS = {
    ON_NATIVE_THREAD: "call", "a deadline": "time", " descriptors": "descriptor", " on the loop": "loop", "a signal": "signal",
}  # fmt: skip
_SHOWN = 5  # frames of each stack in an error's text
_CONDITION = threading.Condition.wait.__code__


class Wait(NamedTuple):
    """What somebody waits for."""

    text: str
    owner: int = 0  # the identity of who can end it, where that is known
    kind: str = "other"  # descriptor, lock, end (of a thread), condition, time, call (on a native thread), loop, signal
    fd: int = -1  # of a descriptor
    made: str = ""  # where a lock was made, if locks are tracked


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
        return _describe(self) if self.frame is not None and getattr(self.greenlet, "dhaga_parked", False) else None


def sleepers(hub: Hub) -> Iterator[Sleeper]:
    """Everybody of a hub, its main dhaga first."""
    for one in (hub.main, *list(hub.dhagas)):
        yield sleeper_of(hub, one)


def sleeper_of(hub: Hub, one: Any) -> Sleeper:
    """A greenlet of a hub, with its identity and its name."""
    if one is hub.main:
        return Sleeper(one, hub.ident, name_of_thread(hub.ident) or "main")
    call = getattr(one, "call", None)  # not begun yet: `threading` has no place for it so far
    thread = None if call is None else getattr(call[0], "__self__", None)
    kind: Any = getattr(threading, "Thread", ())  # in the last moments there is none
    name = thread.name if isinstance(thread, kind) else name_of_thread(one.ident) or one.name
    return Sleeper(one, one.ident, name)


def program_frame(frame: FrameType | None) -> FrameType | None:
    """The innermost frame that is not the runtime's own."""
    while frame is not None and is_runtime(frame):
        frame = frame.f_back
    return frame


def is_runtime(frame: FrameType) -> bool:
    """Whether a frame is the runtime's own."""
    return str(frame.f_globals.get("__name__", "")).startswith(_RUNTIME)


def place(frame: FrameType) -> str:
    """File, line and function."""
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"


def _describe(sleeper: Sleeper) -> Wait:
    what = sleeper.greenlet.dhaga_waiting
    if what is None or isinstance(what, str):
        text = what or "something"
        return Wait(text, kind=next((kind for words, kind in _KINDS.items() if text.endswith(words)), "other"))
    if isinstance(what, Entry):
        reads = sleeper.greenlet in what.readers
        return Wait(f"descriptor {what.fd} to be {'readable' if reads else 'writable'}", 0, "descriptor", what.fd)
    ends = getattr(what, "ends_with", None)  # the lock or handle that `Thread.join` waits for
    if ends is not None:
        return Wait(f"the end of {name_of_thread(ends) or 'a thread'}", ends, "end")
    frame = program_frame(sleeper.frame)
    if frame is not None and frame.f_code is _CONDITION:
        return Wait(f"a {type(frame.f_locals.get('self')).__name__} to be notified", kind="condition")
    owner = owner_of(what)
    text = repr(what)
    if owner and (name := name_of(owner)):
        text += f", held by {name}"
    made = made_at(what)
    if made:
        text += f", made at {made}"
    return Wait(text, owner, "lock" if hasattr(what, "_waiters") or owner else "other", -1, made)


def owner_of(what: object) -> int:
    """Who can end the wait for `what`: an RLock's owner, the thread whose end it is, the holder of a lock that is tracked."""
    return getattr(what, "_mutex_owner", 0) or getattr(what, "ends_with", 0) or getattr(what, "_holder", 0)


def made_at(lock: object) -> str:
    """Where a lock was made, "file:line in function", if locks are tracked."""
    return getattr(lock, "_made", "")


def name_of(ident: int) -> str:
    """The name of a thread, also of one that `threading` did not start; empty if there is none."""
    name = name_of_thread(ident)
    dhaga = None if name else find_dhaga(ident)
    return name if dhaga is None else dhaga.name


def cycles(hubs: Iterable[Hub]) -> list[list[Sleeper]]:
    """Those who wait for each other in a ring, as far as it is known who holds what: each ring once.

    That is known of RLocks and of the ends of threads, and of plain locks if they are tracked: those may be released by
    anybody, so a ring of them is a strong hint only.
    """
    waiting: dict[int, Sleeper] = {}
    next_of: dict[int, int] = {}
    for hub in hubs:
        for one in (hub.main, *list(hub.dhagas)):
            what = getattr(one, "dhaga_waiting", None)
            owner = 0 if what is None or isinstance(what, (str, Entry)) or not one.dhaga_parked else owner_of(what)
            if owner:
                ident = hub.ident if one is hub.main else one.ident
                waiting[ident] = sleeper_of(hub, one)
                next_of[ident] = owner
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
        places = []
        frame = program_frame(sleeper.frame)
        while frame is not None:
            if frame.f_globals.get("__name__") != "threading":
                places.append(f"    at {place(frame)}")
            frame = program_frame(frame.f_back)
        lines += places[:_SHOWN]
    return "\n  ".join(lines)
