"""Python children that start patched: the group "children", which is off unless it is asked for.

The environment of a child gets a folder at the head of PYTHONPATH, whose `sitecustomize` patches before the child's own
code runs and then takes itself out of the child's sight.  Children that inherit the environment find it in the C library's,
`os.environ` does not show it; children that are given one have it put in there.  An interpreter that does not look
at the variables, or runs no `site` (options -I, -E, -S), is left alone, and counted.
"""

from __future__ import annotations

import _posixsubprocess
import json
import os
import posix
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch._real import pristine
from dhagapatch.green.wording import worded_by

__all__ = [
    "COUNTS", "execve", "fork_exec", "install", "posix_spawn", "posix_spawnp", "putenv", "uninstall", "unsetenv",
]  # fmt: skip

_FOLDER = str(Path(__file__).resolve().parents[1] / "_children")
_PATH, _MARK = b"PYTHONPATH", b"DHAGAPATCH_CHILD"
_ENV = 5  # where `fork_exec` has the environment, since Python 3.11
_c_putenv, _c_unsetenv, _c_execve = (pristine(posix, name) for name in ("putenv", "unsetenv", "execve"))
_c_fork_exec = pristine(_posixsubprocess, "fork_exec")
_c_posix_spawn = pristine(posix, "posix_spawn")
_c_posix_spawnp = pristine(posix, "posix_spawnp")
_disabled: list[str] = []
_timeslice = 0.0
_offload: list[str] = []
_looking: dict[str, Any] = {}  # what of `inspect` they have on


class _Counts:
    """How many Python children were started so far."""

    patched = 0
    left_alone = 0


COUNTS = _Counts()


class _Pair(NamedTuple):
    path: bytes
    mark: bytes


def _pair(path: bytes | None) -> _Pair:
    """The two variables, for a child whose PYTHONPATH is to be `path`."""
    said: dict[str, Any] = {
        "path": None if path is None else os.fsdecode(path), "disable": _disabled, "timeslice": _timeslice, "offload": _offload,
        "looking": _looking,
    }  # fmt: skip
    folder = os.fsencode(_FOLDER)
    return _Pair(folder if not path else folder + os.fsencode(os.pathsep) + path, json.dumps(said).encode())


def install(disabled: Iterable[str], timeslice: float, offload: Iterable[str], looking: Mapping[str, Any]) -> None:
    """From now on children that inherit the environment start patched: the same is off, sliced and offloaded there.

    Of what looks at the program they have stalls, locks that are tracked, and a socket of their own; they die of signals as ever.
    """
    global _timeslice
    _looking.clear()
    _looking.update({name: looking[name] for name in ("stall", "track_locks") if looking.get(name)})
    if looking.get("inspect"):
        _looking["inspect"] = True  # at the usual path
    _disabled[:], _timeslice, _offload[:] = sorted(disabled), timeslice, offload
    _set(os.environb.get(_PATH))


def uninstall() -> None:
    """Give the C library's environment back as `os.environ` has it."""
    _c_unsetenv(_MARK)
    path = os.environb.get(_PATH)
    if path is None:
        _c_unsetenv(_PATH)
    else:
        _c_putenv(_PATH, path)


def _set(path: bytes | None) -> None:
    pair = _pair(path)
    _c_putenv(_PATH, pair.path)
    _c_putenv(_MARK, pair.mark)


@worded_by(_c_putenv)
def putenv(name: Any, value: Any, /) -> None:
    _c_putenv(name, value)  # whatever is wrong, it says so
    if os.fsencode(name) == _PATH:
        _set(os.fsencode(value))


@worded_by(_c_unsetenv)
def unsetenv(name: Any, /) -> None:
    _c_unsetenv(name)
    if os.fsencode(name) == _PATH:
        _set(None)


# starting


@worded_by(_c_fork_exec)
def fork_exec(*args: Any) -> int:
    if len(args) > _ENV and isinstance(args[0], (list, tuple)):
        env = args[_ENV]
        alone = _is_left_alone(args[0])
        if env is None and alone:
            env = [key + b"=" + value for key, value in os.environb.items()]
        elif env is not None and not alone:
            env = _with_pair(list(env))
        args = (*args[:_ENV], env, *args[_ENV + 1 :])
    return int(_c_fork_exec(*args))


def _with_pair(env: list[bytes]) -> list[bytes]:
    path = next((item[len(_PATH) + 1 :] for item in env if item.startswith(_PATH + b"=")), None)
    kept = [item for item in env if not item.startswith((_PATH + b"=", _MARK + b"="))]
    pair = _pair(path)
    return [*kept, _PATH + b"=" + pair.path, _MARK + b"=" + pair.mark]


@worded_by(_c_execve)
def execve(path: Any, argv: Any, env: Any) -> None:
    _c_execve(path, argv, _environment(argv, env))


@worded_by(_c_posix_spawn)
def posix_spawn(path: Any, argv: Any, env: Any, /, **kwargs: Any) -> int:
    return int(_c_posix_spawn(path, argv, _environment(argv, env), **kwargs))


@worded_by(_c_posix_spawnp)
def posix_spawnp(path: Any, argv: Any, env: Any, /, **kwargs: Any) -> int:
    return int(_c_posix_spawnp(path, argv, _environment(argv, env), **kwargs))


def _environment(argv: Any, env: Any) -> Any:
    if not isinstance(env, Mapping | None) or not isinstance(argv, (list, tuple)):
        return env  # what is wrong with it the call itself says
    alone = _is_left_alone(argv)
    if env is None:  # inherited (since 3.13)
        return dict(os.environb) if alone else None
    if alone:
        return env
    try:
        known = {os.fsencode(key): os.fsencode(value) for key, value in env.items()}
    except TypeError:
        return env
    pair = _pair(known.get(_PATH))
    return {**known, _PATH: pair.path, _MARK: pair.mark}


def _is_left_alone(argv: Any) -> bool:
    """Whether it is a Python that ignores the variables; a Python is counted."""
    try:
        words = [os.fsdecode(word) for word in argv]
    except TypeError:
        return False
    if not words or not (os.path.basename(words[0]).startswith("python") or words[0] == sys.executable):
        return False
    alone = _is_isolated(words[1:])
    if alone:
        COUNTS.left_alone += 1
    else:
        COUNTS.patched += 1
    return alone


def _is_isolated(words: list[str]) -> bool:
    """Whether the interpreter's own options, which end where the program's begin, have -I, -E or -S."""
    rest = iter(words)
    for word in rest:
        if not word.startswith("-") or word in ("-", "--"):
            return False
        if word.startswith("--"):
            continue
        for at, letter in enumerate(word[1:], 2):
            if letter in "IES":
                return True
            if letter in "cm":
                return False
            if letter in "WX":
                if at == len(word):
                    next(rest, None)
                break
    return False
