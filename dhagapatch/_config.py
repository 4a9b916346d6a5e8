"""Settings, read once from ``DHAGAPATCH_*`` environment variables and then frozen."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from typing import NamedTuple

from dhagapatch._errors import DhagapatchError
from dhagapatch._real import BUILTINS as __builtins__

__all__ = ["SETTINGS", "Settings", "check_dump_signal", "check_stall", "check_timeslice", "read_settings", "split_names"]


class Settings(NamedTuple):
    """The settings of this process; durations in seconds.

    .. versionadded:: 0.1
    """

    poller: str = "auto"  # DHAGAPATCH_POLLER: auto, epoll, kqueue, poll
    offload_threads: int = 64  # DHAGAPATCH_OFFLOAD_THREADS: most native threads of the pool
    offload_idle: float = 10.0  # DHAGAPATCH_OFFLOAD_IDLE: an idle pool thread ends after this
    frames: bool = False  # DHAGAPATCH_FRAMES: show the runtime's frames in what is printed of uncaught exceptions
    children: bool = False  # DHAGAPATCH_CHILDREN: Python processes that the program starts start patched
    timeslice: float = 0.0  # DHAGAPATCH_TIMESLICE: seconds after which a running dhaga makes room for others; 0: never
    offload: tuple[str, ...] = ()  # DHAGAPATCH_OFFLOAD: callables that run on native threads, comma separated
    dump_signal: int | None = None  # DHAGAPATCH_DUMP_SIGNAL: has a dump printed; 0: none; None: SIGQUIT under the launcher
    stall: float = 0.0  # DHAGAPATCH_STALL: a dhaga that holds the OS thread for so many seconds is reported; 0: never
    track_locks: bool = False  # DHAGAPATCH_TRACK_LOCKS: who holds a lock, and where it was made
    inspect: str = ""  # DHAGAPATCH_INSPECT: path of the socket; "1": the usual one; "": none
    speedups: bool = True  # DHAGAPATCH_SPEEDUPS: use the compiled part, if it is there
    disable: tuple[str, ...] = ()  # DHAGAPATCH_DISABLE: "group" or "module.name", comma separated


def read_settings(environ: dict[str, str]) -> Settings:
    """Make Settings from an environment; a bad value is a DhagapatchError that names the variable."""
    default = Settings()
    poller = environ.get("DHAGAPATCH_POLLER", default.poller)
    if poller not in ("auto", "epoll", "kqueue", "poll"):
        raise DhagapatchError(
            f"DHAGAPATCH_POLLER={poller!r}: choose one of auto, epoll, kqueue, poll"
        )
    disable = environ.get("DHAGAPATCH_DISABLE", "")
    return Settings(
        poller=poller,
        offload_threads=int(_number(environ, "DHAGAPATCH_OFFLOAD_THREADS", 64, least=1)),
        offload_idle=_number(environ, "DHAGAPATCH_OFFLOAD_IDLE", 10.0, least=0),
        frames=_number(environ, "DHAGAPATCH_FRAMES", 0, least=0) != 0,
        children=_number(environ, "DHAGAPATCH_CHILDREN", 0, least=0) != 0,
        timeslice=check_timeslice(_number(environ, "DHAGAPATCH_TIMESLICE", 0, least=0), "DHAGAPATCH_TIMESLICE"),
        offload=split_names([environ.get("DHAGAPATCH_OFFLOAD", "")]),
        dump_signal=_dump_signal_of(environ),
        stall=check_stall(_number(environ, "DHAGAPATCH_STALL", 0, least=0), "DHAGAPATCH_STALL"),
        track_locks=_number(environ, "DHAGAPATCH_TRACK_LOCKS", 0, least=0) != 0,
        inspect=environ.get("DHAGAPATCH_INSPECT", "").strip().removeprefix("0"),
        speedups=_number(environ, "DHAGAPATCH_SPEEDUPS", 1, least=0) != 0,
        disable=split_names([disable]),
    )


def check_timeslice(seconds: float, name: str = "timeslice") -> float:
    """`seconds`; a DhagapatchError that names the setting if no time slice can be that long."""
    if not isinstance(seconds, (int, float)) or not (seconds == 0 or 0.001 <= seconds <= 60):
        raise DhagapatchError(f"{name}={seconds!r}: 0 (none), or 0.001 to 60 seconds; 0.01 is a good value")
    return seconds


def split_names(texts: Iterable[str]) -> tuple[str, ...]:
    """The names in texts that may hold several, separated by commas."""
    return tuple(part.strip() for text in texts for part in text.split(",") if part.strip())


def check_stall(seconds: float, name: str = "stall") -> float:
    """`seconds`; a DhagapatchError that names the setting if no stall can be looked for that is so short, or so long."""
    if not isinstance(seconds, (int, float)) or not (seconds == 0 or 0.01 <= seconds <= 3600):
        raise DhagapatchError(f"{name}={seconds!r}: 0 (none), or 0.01 to 3600 seconds; 0.1 is a good value")
    return seconds


_NO_DUMPS = {"SIGKILL", "SIGSTOP", "SIGSEGV", "SIGFPE", "SIGABRT", "SIGBUS", "SIGILL", "SIGCHLD", "SIGPIPE", "SIGINT", "SIGALRM"}


def check_dump_signal(value: str | int, name: str = "dump_signal") -> int:
    """The number of a signal, by its name ("SIGQUIT", "QUIT") or number; 0 for "" and "none".

    A DhagapatchError that names the setting for what is no signal, or none that can be spared.
    """
    if value in ("", "0", 0, None, False) or str(value).lower() == "none":
        return 0
    known = {str(int(one)): one for one in signal.Signals} | {one.name: one for one in signal.Signals}
    word = str(int(value)) if isinstance(value, int) else value.strip().upper()
    found = known.get(word) or known.get(f"SIG{word}")
    if found is None or found.name in _NO_DUMPS:
        what = "no signal has this name" if found is None else "this one has another purpose"
        raise DhagapatchError(f"{name}={value!r}: {what}; SIGQUIT and SIGUSR1 are good ones, and none turns it off")
    return int(found)


def _dump_signal_of(environ: dict[str, str]) -> int | None:
    text = environ.get("DHAGAPATCH_DUMP_SIGNAL")
    return None if text is None else check_dump_signal(text, "DHAGAPATCH_DUMP_SIGNAL")


def _number(environ: dict[str, str], name: str, default: float, least: float) -> float:
    text = environ.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        raise DhagapatchError(f"{name}={text!r}: a number is needed") from None
    if value < least:
        raise DhagapatchError(f"{name}={text!r}: at least {least:g} is needed")
    return value


SETTINGS = read_settings(dict(os.environ))
