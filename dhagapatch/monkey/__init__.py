"""The patcher's door."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dhagapatch._config import SETTINGS, check_dump_signal, check_stall, check_timeslice, split_names
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.monkey import hooks
from dhagapatch.monkey.engine import engine
from dhagapatch.monkey.report import PatchReport
from dhagapatch.monkey.table import GROUPS, OPTIONAL

__all__ = ["PatchReport", "is_patched", "original", "patch", "patch_all", "unpatch_all"]


def patch_all(
    *,
    disable: Iterable[str] = (),
    children: bool | None = None,
    timeslice: float | None = None,
    offload: Iterable[str] | None = None,
    dump_signal: str | int | None = None,
    stall: float | None = None,
    track_locks: bool | None = None,
    inspect: str | bool | None = None,
) -> PatchReport:
    """Make the standard library cooperative; all groups, except those in `disable`.

    With `children`, every Python process that the program starts from then on starts patched too, before its own code
    (DHAGAPATCH_CHILDREN sets the default, which is not to).  Isolated ones (options -I, -E, -S) are left alone.

    With a `timeslice`, in seconds, a dhaga of the main OS thread that has run for so long without a wait makes room
    for the others, as the interpreter does for threads (0: never).  Without it, what an earlier call asked for stays; at the
    first call DHAGAPATCH_TIMESLICE sets the default, which is 0.

    `offload` names callables that run on native threads, so that they hold nobody up: functions ("zlib.compress"), methods
    ("package.module.Class.method"), classes whose objects must stay on one native thread each ("package.module.Class"), and the
    group "sqlite3".  DHAGAPATCH_OFFLOAD sets the default, which is none; what an earlier call named stays.

    What the program is doing can be asked from outside, and told by itself; all of it is off by default:

    - `dump_signal`, "SIGQUIT" say, has a `dump` printed to standard error, and the program goes on; "none" turns it off;
    - `stall`, in seconds: when one dhaga holds the OS thread for longer, its stack is logged (logger "dhagapatch.stall");
    - `track_locks`: who holds a plain lock, and where each lock was made, is known to dumps and reports;
    - `inspect`, a path or True for the usual one: a UNIX socket for ``python -m dhagapatch top``.

    Their defaults are DHAGAPATCH_DUMP_SIGNAL, DHAGAPATCH_STALL, DHAGAPATCH_TRACK_LOCKS and DHAGAPATCH_INSPECT.

    With any of the last three, dhagas that wait for each other in a ring are reported ("dhagapatch.deadlock") after a second.

    `disable` names groups ("ssl") or single names ("time.sleep").  May be called at any time, also late and
    again: what was done before is left as it is.  The report says what was patched, and what could not be.

    PatchConflictError if gevent or eventlet has patched already; PatchError for an unknown name; DhagapatchError where there can
    be no time slices, for a setting that can't be, and on an interpreter that runs without the GIL.

    .. versionadded:: 0.1
    """
    off = frozenset([disable] if isinstance(disable, str) else disable)
    wanted = {"children"} if (SETTINGS.children if children is None else children) else set()
    names = split_names([offload] if isinstance(offload, str) else SETTINGS.offload if offload is None else offload)
    if names:
        meant, names = engine.offload_groups(names)
        wanted |= meant
    before = SETTINGS.timeslice if engine.timeslice is None else engine.timeslice
    slices = before if timeslice is None else check_timeslice(timeslice)
    asked = _asked(dump_signal, stall, track_locks, inspect)
    report = patch(*(group for group in GROUPS if group not in off and (group not in OPTIONAL or group in wanted)), _off=off)
    engine.slice_time(slices)
    if names:
        report.merge(engine.offload(names))
    engine.look_at(**asked)
    return report


def _asked(
    dump_signal: str | int | None, stall: float | None, track_locks: bool | None, inspect: str | bool | None
) -> dict[str, Any]:
    """What `Engine.look_at` is called with; DhagapatchError for what makes no sense."""
    return {
        "dump_signal": None if dump_signal is None else check_dump_signal(dump_signal),
        "stall": None if stall is None else check_stall(stall),
        "track_locks": track_locks,
        "inspect": "1" if inspect is True else inspect or "" if inspect is not None else None,
    }


def patch(*groups: str, _off: frozenset[str] = frozenset()) -> PatchReport:
    """Make some groups cooperative; the groups are those of the table (`dhagapatch.GROUPS`).

    .. versionadded:: 0.1
    """
    hooks.register()
    return engine.patch(groups, _off)


def unpatch_all() -> None:
    """Take back every change and leave the interpreter as it was; dhagas that run go on running.

    What those call waits with their whole OS thread from then on.  On the main one, each that runs for 50 ms makes room for
    the others, until they have ended (where there are time slices; the program's main flow does not).

    .. versionadded:: 0.1
    """
    engine.unpatch()


def is_patched(name: str) -> bool:
    """Whether a group ("socket") or a name ("time.sleep", "socket.socket.recv") is patched now.

    .. versionadded:: 0.1
    """
    return engine.is_patched(name)


def original(module: str, name: str) -> Any:
    """The unpatched object, e.g. ``original("time", "sleep")``; AttributeError for an unknown name.

    .. versionadded:: 0.1
    """
    return engine.original(module, name)
