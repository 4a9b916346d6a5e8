"""A dump: every dhaga of every hub and every native thread, what each waits for, and where it stands.

It is made by looking, nobody is asked: so it can be made from a native thread while a hub is stuck in C code, in a signal
handler, in a forked child, and at exit.  Made beside a hub that runs, each line is true for the moment in which it was made.
"""

from __future__ import annotations

import linecache
import os
from types import FrameType
from typing import Any, NamedTuple

from dhagapatch import _real
from dhagapatch._cpython import name_of_thread
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.hub import Hub, all_hubs
from dhagapatch.core.netpoll import Entry
from dhagapatch.core.poller import POLLS
from dhagapatch.core.waits import LAUNCHER, Sleeper, is_runtime, name_of, sleepers

__all__ = ["DhagaState", "Dump", "HubState", "Place", "ThreadState", "Waiting", "running_in", "stack_of", "take", "tell_stack"]

_UNIX = 1  # AF_UNIX


class Place(NamedTuple):
    """A frame."""

    file: str
    line: int
    function: str


class Waiting(NamedTuple):
    """What a dhaga waits for."""

    text: str
    kind: str  # descriptor, lock, end (of a thread), condition, time, call (on a native thread), loop, signal, other
    owner: int | None = None  # the identity of who can end it, where that is known
    owner_name: str | None = None
    fd: int | None = None
    peer: str | None = None
    left: float | None = None  # seconds until its deadline
    made: str | None = None  # where a lock was made, if locks are tracked


class DhagaState(NamedTuple):
    """A dhaga; `main` is the one in which its OS thread began."""

    name: str
    ident: int
    main: bool
    state: str  # running, ready, parked
    waits_for: Waiting | None
    waited: float | None  # seconds; None unless waits are timed (`--inspect`)
    stack: list[Place]  # the innermost last


class HubState(NamedTuple):
    """The scheduler of an OS thread; `stack` is its own, if it is the hub that runs there."""

    ident: int
    state: str  # polls, runs a dhaga, runs
    ready: int
    inbox: int
    offloaded: int
    deadlines: int
    descriptors: int
    dhagas: list[DhagaState]
    stack: list[Place]


class ThreadState(NamedTuple):
    """A native thread that has no hub; `own` is one of the runtime's, which may run a call of the program's."""

    name: str
    ident: int
    own: bool
    stack: list[Place]


class Dump:
    """What the process is doing; `str()` of it is for reading, `as_dict()` for programs.

    .. versionadded:: 0.1
    """

    def __init__(self, hubs: list[HubState], threads: list[ThreadState]) -> None:
        self.pid = _real.os_getpid()
        self.hubs = hubs
        self.threads = threads

    @property
    def dhagas(self) -> list[DhagaState]:
        """Those of all hubs."""
        return [one for hub in self.hubs for one in hub.dhagas]

    def as_dict(self) -> dict[str, Any]:
        """Dictionaries and lists of strings, numbers, booleans and None only."""
        return {"pid": self.pid, "hubs": [_plain(hub) for hub in self.hubs], "threads": [_plain(one) for one in self.threads]}

    def __str__(self) -> str:
        own = sum(thread.own for thread in self.threads)
        lines = [
            f"dhagapatch: process {self.pid}, {_count(len(self.dhagas), 'dhaga')} in {_count(len(self.hubs), 'hub')}, "
            f"{_count(len(self.threads) - own, 'other native thread')}, {own} of the runtime"
        ]
        for hub in self.hubs:
            lines += ["", *_tell_hub(hub)]
            for dhaga in hub.dhagas:
                lines += ["", *_tell_dhaga(dhaga)]
        for thread in self.threads:
            whose = " of the runtime" if thread.own else ""
            lines += ["", f"native thread{whose} {thread.name} {thread.ident}".replace("  ", " "), *tell_stack(thread.stack)]
        return "\n".join(lines)


def _plain(item: Any) -> Any:
    if isinstance(item, tuple):
        return {name: _plain(value) for name, value in item._asdict().items()}  # type: ignore[attr-defined]
    return [_plain(one) for one in item] if isinstance(item, list) else item


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _tell_hub(hub: HubState) -> list[str]:
    numbers = (
        f"{hub.ready} ready, {hub.inbox} in the inbox, {_count(hub.offloaded, 'offloaded call')}, "
        f"{_count(hub.deadlines, 'deadline')}, {_count(hub.descriptors, 'descriptor')}"
    )
    return [f"hub of native thread {hub.ident} {hub.state}: {numbers}", *tell_stack(hub.stack)]


def _tell_dhaga(dhaga: DhagaState) -> list[str]:
    text = f"{'main dhaga' if dhaga.main else 'dhaga'} {dhaga.name} {dhaga.ident}: {dhaga.state}"
    waits = dhaga.waits_for
    if waits is not None:
        text += f", waits for {waits.text}"
        if waits.peer:
            text += f" ({waits.peer})"
        if waits.left is not None:
            text += f", for {waits.left:.3f} s more"
    if dhaga.waited is not None:
        text += f", since {dhaga.waited:.3f} s"
    return [text, *tell_stack(dhaga.stack)]


def tell_stack(stack: list[Place]) -> list[str]:
    """Lines as those of a traceback."""
    lines = []
    getline = getattr(linecache, "getline", None)  # in the last moments there is none
    for place in stack:
        lines.append(f'  File "{place.file}", line {place.line}, in {place.function}')
        if getline is not None and (source := getline(place.file, place.line).strip()):
            lines.append(f"    {source}")
    return lines


# looking


def stack_of(frame: FrameType | None, whole: bool = False) -> list[Place]:
    """The program's frames, the innermost last; with `whole` the runtime's too."""
    places: list[Place] = []
    while frame is not None:
        code = frame.f_code
        if code.co_filename == LAUNCHER:
            break  # the program begins above it
        if whole or not (is_runtime(frame) or _is_bootstrap(frame)):
            places.append(Place(code.co_filename, frame.f_lineno or code.co_firstlineno, code.co_qualname))
        frame = frame.f_back
    places.reverse()
    return places


def _is_bootstrap(frame: FrameType) -> bool:
    """Whether it is one of those in which every thread begins."""
    return frame.f_globals.get("__name__") == "threading" and frame.f_code.co_name.startswith("_bootstrap")


def running_in(hub: Hub) -> Any:
    """The dhaga that runs in a hub's OS thread, or its main one; None if the hub runs itself.  Looks at each."""
    for one in (hub.main, *list(hub.dhagas)):
        if one.gr_frame is None and one:  # it has begun, and stands nowhere
            return one
    return None


def take() -> Dump:
    """Look at everything, now."""
    frames = _real.current_frames()
    hubs = [_look_at_hub(hub, frames.pop(hub.ident, None)) for hub in list(all_hubs())]
    threads = []
    for ident, frame in frames.items():
        own = is_runtime(_outermost(frame))
        threads.append(ThreadState(name_of_thread(ident), ident, own, stack_of(frame)))
    return Dump(hubs, threads)


def _outermost(frame: FrameType) -> FrameType:
    while frame.f_back is not None:
        frame = frame.f_back
    return frame


def _look_at_hub(hub: Hub, frame: FrameType | None) -> HubState:
    now = _real.monotonic()
    running = running_in(hub)
    dhagas = [_look_at(one, hub, running, frame, now) for one in sleepers(hub)]
    dhagas[1:] = sorted(dhagas[1:])
    polls = running is None and frame is not None and frame.f_code in POLLS
    state = "runs a dhaga" if running is not None else "polls" if polls else "runs"
    stack = stack_of(frame) if running is None and not polls else []
    descriptors = sum(1 for entry in list(hub.entries.values()) if entry.registered)
    return HubState(
        hub.ident, state, len(hub.runq), len(hub.inbox), hub.offloaded, len(hub.deadlines), descriptors, dhagas, stack
    )


def _look_at(one: Sleeper, hub: Hub, running: Any, frame: FrameType | None, now: float) -> DhagaState:
    sleeper = one.greenlet
    main = sleeper is hub.main
    if sleeper is running:
        return DhagaState(one.name, one.ident, main, "running", None, None, stack_of(frame))
    deadline = getattr(sleeper, "dhaga_deadline", None)
    wait = one.wait
    if wait is None:
        return DhagaState(one.name, one.ident, main, "ready", None, None, stack_of(one.frame))
    owner = wait.owner or None
    waits_for = Waiting(
        wait.text, wait.kind, owner, name_of(owner) if owner else None, wait.fd if wait.fd >= 0 else None,
        _peer_of(wait.fd) if isinstance(sleeper.dhaga_waiting, Entry) else None,
        None if deadline is None else max(deadline - now, 0.0), wait.made or None,
    )  # fmt: skip
    since = getattr(sleeper, "dhaga_since", None)  # set by who times waits
    return DhagaState(one.name, one.ident, main, "parked", waits_for, None if since is None else now - since, stack_of(one.frame))


def _peer_of(fd: int) -> str | None:
    """Whom a socket is connected to, or where it listens; None for another descriptor."""
    # HAZARD: a socket object made while there is a default timeout sets the descriptor non-blocking, for everybody
    if fd < 0 or _real.getdefaulttimeout() is not None:
        return None
    try:
        sock = _real.socket(fileno=fd)
    except OSError:
        return None  # no socket, or closed meanwhile
    try:
        try:
            return f"peer {_address(sock.family, sock.getpeername())}"
        except OSError:
            return f"at {_address(sock.family, sock.getsockname())}"
    except OSError:
        return None
    finally:
        sock.detach()  # it is not ours to close


def _address(family: int, address: Any) -> str:
    if family == _UNIX:
        return os.fsdecode(address) or "unnamed"
    return f"{address[0]}:{address[1]}" if isinstance(address, tuple) and len(address) > 1 else str(address)
