"""Python children that start patched: the group "children", which is off unless it is asked for.

The environment of a child gets a folder at the head of PYTHONPATH, whose `sitecustomize` patches before the child's own
code runs and then takes itself out of the child's sight.  Children that inherit the environment find it in the C library's,
`os.environ` does not show it; children that are given one have it put in there.

Left alone are the interpreters that `_reason` names; they have the environment that they would have without us.  One that has
no dhagapatch, or is too old for it, finds out by itself, and runs on unpatched.  Every child that is seen to be a Python is
noted, for the report.
"""

from __future__ import annotations

import _posixsubprocess
import os
import posix
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from dhagapatch import _real
from dhagapatch._config import SETTINGS
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch._real import pristine
from dhagapatch.green.wording import worded_by

__all__ = [
    "CHILDREN", "COUNTS", "Child", "execve", "fork_exec", "install", "posix_spawn", "posix_spawnp", "putenv", "uninstall",
    "unsetenv",
]  # fmt: skip

_FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "_children")
_PATH, _MARK = b"PYTHONPATH", b"DHAGAPATCH_CHILD"
_OPT_OUT = b"DHAGAPATCH_CHILDREN"
_PATHS, _ENV = 1, 5  # where `fork_exec` has the programs to try, and the environment, since Python 3.11
_MOST = 200  # children that are told apart
_LINE = 128  # bytes of a script in which its interpreter is named
_TRACKER = "from multiprocessing.resource_tracker import"
_ADAPTER = os.path.join("debugpy", "adapter")
_c_putenv, _c_unsetenv, _c_execve = (pristine(posix, name) for name in ("putenv", "unsetenv", "execve"))
_c_fork_exec = pristine(_posixsubprocess, "fork_exec")
_c_posix_spawn = pristine(posix, "posix_spawn")
_c_posix_spawnp = pristine(posix, "posix_spawnp")
_disabled: list[str] = []
_timeslice = 0.0
_offload: list[str] = []
_looking: dict[str, Any] = {}  # what of `inspect` they have on
_LOOKING = ("stall", "track_locks", "inspect")


class _Counts:
    """How many Python children were started so far."""

    patched = 0
    left_alone = 0


COUNTS = _Counts()


class Child(NamedTuple):
    """A Python process that the program started."""

    command: str
    patched: bool
    why: str  # it was left alone; or on which condition it is patched


CHILDREN: dict[Child, int] = {}  # how often each was started


class _Pair(NamedTuple):
    path: bytes
    mark: bytes


def _pair(path: bytes | None) -> _Pair:
    """The two variables, for a child whose PYTHONPATH is to be `path`.

    The mark is words that are taken apart, never code; what may hold any character comes last.
    """
    said = {
        "path": "" if path is None else "1", "children": "0" if os.environb.get(_OPT_OUT) == b"0" else "",
        "disable": ",".join(_disabled), "timeslice": str(_timeslice), "offload": ",".join(_offload),
        **{name: str(_looking.get(name, "")) for name in _LOOKING}, "prefix": sys.prefix,
    }  # fmt: skip
    folder = os.fsencode(_FOLDER)
    mark = ";".join([f"{name}={value}" for name, value in said.items()])
    return _Pair(folder if not path else folder + os.fsencode(os.pathsep) + path, os.fsencode(mark))


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
        given = os.environb if env is None else dict(item.partition(b"=")[::2] for item in env)
        alone = _is_left_alone(args[_PATHS], args[0], given.get(_OPT_OUT))
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
    _c_execve(path, argv, _environment([path], argv, env))


@worded_by(_c_posix_spawn)
def posix_spawn(path: Any, argv: Any, env: Any, /, **kwargs: Any) -> int:
    return int(_c_posix_spawn(path, argv, _environment([path], argv, env), **kwargs))


@worded_by(_c_posix_spawnp)
def posix_spawnp(path: Any, argv: Any, env: Any, /, **kwargs: Any) -> int:
    return int(_c_posix_spawnp(path, argv, _environment(_found(path), argv, env), **kwargs))


def _found(path: Any) -> list[Any]:
    """Where a program may be that is looked for."""
    name = os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else ""
    return [path] if not name or os.sep in name else [os.path.join(folder, name) for folder in os.get_exec_path()]


def _environment(paths: list[Any], argv: Any, env: Any) -> Any:
    if not isinstance(env, Mapping | None) or not isinstance(argv, (list, tuple)):
        return env  # what is wrong with it the call itself says
    try:
        known = None if env is None else {os.fsencode(key): os.fsencode(value) for key, value in env.items()}
    except TypeError:
        return env
    alone = _is_left_alone(paths, argv, (os.environb if known is None else known).get(_OPT_OUT))
    if known is None:  # inherited (since 3.13)
        return dict(os.environb) if alone else None
    if alone:
        return env
    pair = _pair(known.get(_PATH))
    return {**known, _PATH: pair.path, _MARK: pair.mark}


# what is left alone


def _is_left_alone(paths: Any, argv: Any, opt_out: bytes | None) -> bool:
    """Whether it is a Python that is not to be patched, or would not look at the variables; a Python is noted."""
    try:
        words = _python_words([os.fsdecode(path) for path in paths], [os.fsdecode(word) for word in argv])
    except TypeError:
        return False  # what is wrong with it the call itself says
    opted_out = opt_out == b"0" and SETTINGS.children is not False
    if words is None:
        return opted_out
    alone = "DHAGAPATCH_CHILDREN=0 in its environment" if opted_out else _reason(words[1:])
    if alone:
        COUNTS.left_alone += 1
    else:
        COUNTS.patched += 1
    shown = [os.fsdecode(word) for word in argv]
    why = alone or ("" if _is_at_home(words[0], shown[0], paths) else "if dhagapatch is installed there")
    child = Child(" ".join(word if len(word) <= 60 else word[:57] + "..." for word in shown), not alone, why)
    if child in CHILDREN or len(CHILDREN) < _MOST:
        CHILDREN[child] = CHILDREN.get(child, 0) + 1
    return bool(alone)


def _is_at_home(interpreter: str, shown: str, paths: Iterable[Any]) -> bool:
    """Whether this interpreter is of the same environment as this one; it goes by the name that it is given."""
    named = [path for path in map(os.fsdecode, paths) if os.path.basename(path) == interpreter]  # where its own PATH leads
    places = named if named and interpreter == shown else _found(interpreter)
    first = next((place for place in places if os.path.isfile(place)), interpreter)
    return os.path.dirname(os.path.abspath(first)) == os.path.dirname(sys.executable)


def _is_python(word: str) -> bool:
    return os.path.basename(word).startswith("python") or word == sys.executable


def _python_words(paths: list[str], words: list[str]) -> list[str] | None:
    """The interpreter's command line, also of a script that names one, or behind ``env``; None for another program."""
    if not words or not paths:
        return None
    if _is_python(words[0]) or any(map(_is_python, paths)):
        return words
    if os.path.basename(words[0]) == "env":
        rest = [word for word in words[1:] if "=" not in word]
        return rest if rest and _is_python(rest[0]) else None
    for path in paths:
        line = _first_line(path)
        if line is None:
            continue
        named = line.split()
        if named and os.path.basename(named[0]) == "env":
            named = [word for word in named[1:] if not word.startswith("-") and "=" not in word]
        return [*named, path, *words[1:]] if named and _is_python(named[0]) else None
    return None


def _first_line(path: str) -> str | None:
    """What stands behind ``#!`` in it; None if there is no such file."""
    try:
        fd = _real.os_open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        start = _real.os_read(fd, _LINE)
    except OSError:
        return None
    finally:
        _real.os_close(fd)
    return os.fsdecode(start[2:].partition(b"\n")[0]) if start.startswith(b"#!") else ""


def _reason(words: list[str]) -> str:
    """Why an interpreter with this command line is left alone; empty if it is not."""
    rest = iter(words)
    for word in rest:
        if not word.startswith("-") or word in ("-", "--"):
            program = next(rest, "") if word == "--" else word
            return "the debugger's own" if program.endswith(_ADAPTER) else ""
        if word.startswith("--"):
            if word == "--check-hash-based-pycs":
                next(rest, None)
            continue
        for at, letter in enumerate(word[1:], 2):
            if letter in "IES":
                return f"option -{letter}: it does not look at the environment, or imports no site"
            if letter in "cm":
                return _reason_of(letter, word[at:] or next(rest, ""))
            if letter in "WX":
                if at == len(word):
                    next(rest, None)
                break
    return ""


def _reason_of(letter: str, what: str) -> str:
    if letter == "m" and what == "dhagapatch":
        return "it patches itself"
    if letter == "c" and what.startswith(_TRACKER):
        return "it serves multiprocessing, and runs nothing of the program"
    return "the debugger's own" if letter == "m" and what == "debugpy.adapter" else ""
