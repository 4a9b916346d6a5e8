"""Settings, read once from ``DHAGAPATCH_*`` environment variables and then frozen."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, NoReturn

from dhagapatch import _real
from dhagapatch._errors import DhagapatchError
from dhagapatch._real import BUILTINS as __builtins__

__all__ = [
    "MISSPELT", "SETTINGS", "Settings", "check_dump_signal", "check_inspect", "check_stall", "check_timeslice", "fail", "nearest",
    "read_settings", "split_names",
]  # fmt: skip

_PREFIX = "DHAGAPATCH_"
_POLLERS = ("auto", "epoll", "kqueue", "poll")
_MOST_THREADS = 10_000
_LONGEST_IDLE = 365 * 86400.0  # seconds


class Settings(NamedTuple):
    """The settings of this process; durations in seconds.

    .. versionadded:: 0.1
    """

    poller: str = "auto"  # DHAGAPATCH_POLLER: auto, epoll, kqueue, poll
    offload_threads: int = 64  # DHAGAPATCH_OFFLOAD_THREADS: most native threads of the pool
    offload_idle: float = 10.0  # DHAGAPATCH_OFFLOAD_IDLE: an idle pool thread ends after this
    frames: bool = False  # DHAGAPATCH_FRAMES: show the runtime's frames in what is printed of uncaught exceptions
    children: bool | None = None  # DHAGAPATCH_CHILDREN: Python processes that it starts start patched; None: under the launcher
    timeslice: float = 0.0  # DHAGAPATCH_TIMESLICE: seconds after which a running dhaga makes room for others; 0: never
    offload: tuple[str, ...] = ()  # DHAGAPATCH_OFFLOAD: callables that run on native threads, comma separated
    dump_signal: int | None = None  # DHAGAPATCH_DUMP_SIGNAL: has a dump printed; 0: none; None: SIGQUIT under the launcher
    stall: float = 0.0  # DHAGAPATCH_STALL: a dhaga that holds the OS thread for so many seconds is reported; 0: never
    track_locks: bool = False  # DHAGAPATCH_TRACK_LOCKS: who holds a lock, and where it was made
    inspect: str = ""  # DHAGAPATCH_INSPECT: path of the socket; "1": the usual one; "": none
    speedups: bool = True  # DHAGAPATCH_SPEEDUPS: use the compiled part, if it is there
    disable: tuple[str, ...] = ()  # DHAGAPATCH_DISABLE: "group" or "module.name", comma separated


def read_settings(environ: dict[str, str]) -> Settings:
    """Make Settings from an environment; a bad value is a DhagapatchError that names the variable.

    An empty variable is as good as none.
    """
    given = {name: text.strip() for name, text in environ.items() if name.startswith(_PREFIX)}
    return Settings(
        poller=_poller(given.get("DHAGAPATCH_POLLER") or "auto"),
        offload_threads=_whole_number(given, "DHAGAPATCH_OFFLOAD_THREADS", Settings().offload_threads),
        offload_idle=_seconds(given, "DHAGAPATCH_OFFLOAD_IDLE", _check_idle, Settings().offload_idle),
        frames=bool(_flag(given, "DHAGAPATCH_FRAMES")),
        children=_flag(given, "DHAGAPATCH_CHILDREN"),
        timeslice=_seconds(given, "DHAGAPATCH_TIMESLICE", check_timeslice, 0.0),
        offload=split_names([given.get("DHAGAPATCH_OFFLOAD", "")]),
        dump_signal=_dump_signal_of(given),
        stall=_seconds(given, "DHAGAPATCH_STALL", check_stall, 0.0),
        track_locks=bool(_flag(given, "DHAGAPATCH_TRACK_LOCKS")),
        inspect="" if given.get("DHAGAPATCH_INSPECT") == "0" else given.get("DHAGAPATCH_INSPECT", ""),
        speedups=_flag(given, "DHAGAPATCH_SPEEDUPS") is not False,
        disable=split_names([given.get("DHAGAPATCH_DISABLE", "")]),
    )


# values


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and value is not True


def check_timeslice(seconds: Any, name: str = "timeslice") -> float:
    """`seconds`; a DhagapatchError that names the setting if no time slice can be that long."""
    if not _is_number(seconds) or not (seconds == 0 or 0.001 <= seconds <= 60):
        raise DhagapatchError(f"{name}={seconds!r}: 0 (none), or 0.001 to 60 seconds; 0.01 is a good value")
    return seconds  # type: ignore[no-any-return]


def check_stall(seconds: Any, name: str = "stall") -> float:
    """`seconds`; a DhagapatchError that names the setting if no stall can be looked for that is so short, or so long."""
    if not _is_number(seconds) or not (seconds == 0 or 0.01 <= seconds <= 3600):
        raise DhagapatchError(f"{name}={seconds!r}: 0 (none), or 0.01 to 3600 seconds; 0.1 is a good value")
    return seconds  # type: ignore[no-any-return]


def _check_idle(seconds: Any, name: str) -> float:
    if not _is_number(seconds) or not 0 <= seconds <= _LONGEST_IDLE:
        raise DhagapatchError(f"{name}={seconds!r}: 0 to {_LONGEST_IDLE:.0f} seconds; 10 is a good value")
    return seconds  # type: ignore[no-any-return]


def split_names(texts: Iterable[str]) -> tuple[str, ...]:
    """The names in texts that may hold several, separated by commas."""
    return tuple(part.strip() for text in texts for part in text.split(",") if part.strip())


_NO_DUMPS = {"SIGKILL", "SIGSTOP", "SIGSEGV", "SIGFPE", "SIGABRT", "SIGBUS", "SIGILL", "SIGCHLD", "SIGPIPE", "SIGINT", "SIGALRM"}


def check_dump_signal(value: Any, name: str = "dump_signal") -> int:
    """The number of a signal, by its name ("SIGQUIT", "QUIT") or number; 0 for "" and "none".

    A DhagapatchError that names the setting for what is no signal, or none that can be spared.
    """
    if value in ("", "0", 0, None, False) or str(value).lower() == "none":
        return 0
    known = {str(int(one)): one for one in signal.Signals} | {one.name: one for one in signal.Signals}
    word = str(int(value)) if isinstance(value, int) and value is not True else str(value).strip().upper()
    found = known.get(word) or known.get(f"SIG{word}")
    if found is None or found.name in _NO_DUMPS:
        what = "no signal has this name" if found is None else "this one has another purpose"
        raise DhagapatchError(f"{name}={value!r}: {what}; SIGQUIT and SIGUSR1 are good ones, and none turns it off")
    return int(found)


def check_inspect(value: Any, name: str = "inspect") -> str:
    """The path of a socket; "1" for True, the usual one, and "" for False, none.  A DhagapatchError for what is no path."""
    if isinstance(value, bool):
        return "1" if value else ""
    try:
        return os.fsdecode(value)
    except TypeError:
        raise DhagapatchError(f"{name}={value!r}: the path of a socket, or True for the usual one") from None


# the environment's


def _poller(name: str) -> str:
    if name not in _POLLERS:
        raise DhagapatchError(f"DHAGAPATCH_POLLER={name!r}: choose one of {', '.join(_POLLERS)}")
    if name != "auto" and getattr(_real, name) is None:
        raise DhagapatchError(f"DHAGAPATCH_POLLER={name!r}: this platform does not have it; auto is a good value")
    return name


def _flag(given: dict[str, str], name: str) -> bool | None:
    text = given.get(name, "")
    if text not in ("", "0", "1"):
        raise DhagapatchError(f"{name}={text!r}: 0 or 1 is needed")
    return text == "1" if text else None


def _whole_number(given: dict[str, str], name: str, default: int) -> int:
    text = given.get(name, "")
    try:
        value = int(text) if text else default
    except ValueError:
        value = 0
    if not 1 <= value <= _MOST_THREADS:
        raise DhagapatchError(f"{name}={text!r}: a whole number from 1 to {_MOST_THREADS} is needed")
    return value


def _seconds(given: dict[str, str], name: str, check: Callable[[Any, str], float], default: float) -> float:
    text = given.get(name, "")
    value: Any = text
    try:
        value = float(text) if text else default
    except ValueError:
        pass  # the check tells
    return check(value, name)


def _dump_signal_of(given: dict[str, str]) -> int | None:
    text = given.get("DHAGAPATCH_DUMP_SIGNAL")
    return check_dump_signal(text, "DHAGAPATCH_DUMP_SIGNAL") if text else None


# what is wrong with it


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `word` is a slip of, or None."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, list(known), 1, 0.75)), None)


def _misspelt(environ: Iterable[str]) -> list[str]:
    """A line for each variable that looks like one of ours, and is none."""
    known = [_PREFIX + field.upper() for field in Settings._fields]
    lines = []
    for name in environ:
        if name in known or name == "DHAGAPATCH_CHILD":
            continue
        head, _, tail = name.upper().partition("_")
        ours = head.startswith("DHAGAPATCH")
        if ours or (head[:2] == "DH" and abs(len(head) - 10) < 3 and tail):
            meant = nearest(name.upper(), known)
            if meant is not None:
                lines.append(f"{name} is no setting, and has no effect: did you mean {meant}?")
            elif ours:
                lines.append(f"{name} is no setting, and has no effect: the settings are {', '.join(known)}")
    return lines


def fail(text: str) -> NoReturn:
    """End the launcher: one line says what is wrong, and what to do."""
    print(f"python -m dhagapatch: {' '.join(text.split())}", file=sys.stderr)
    raise SystemExit(2)


def _is_launcher() -> bool:
    """Whether ``python -m dhagapatch`` imports this: while the interpreter looks for a module, `sys.argv` begins with "-m"."""
    argv = getattr(sys, "argv", [])
    word = sys.orig_argv[-len(argv)] if argv[:1] == ["-m"] and len(sys.orig_argv) > len(argv) else ""
    return word == "dhagapatch" or (word.startswith("-") and word.endswith("mdhagapatch"))


def _settings() -> Settings:
    try:
        return read_settings(dict(os.environ))
    except DhagapatchError as error:
        if _is_launcher():
            fail(str(error))
        raise


SETTINGS = _settings()
MISSPELT = _misspelt(os.environ)  # until somebody has been told
