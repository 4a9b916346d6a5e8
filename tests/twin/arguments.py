"""Calls with wrong arguments, of whatever the table patches: too few, too many, of wrong types, with wrong names."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any

from dhagapatch.monkey.table import TABLE


class Odd:
    """What fits nowhere."""

    def __repr__(self) -> str:
        return "odd"


ODD = Odd()
# they do something, or wait for ever, when they are called with few arguments, or with any; how many do no harm
_LEAST = {
    "_imp.acquire_lock": 1, "_imp.release_lock": 1, "_signal.pause": 1, "_signal.pthread_kill": 3, "_signal.sigwait": 2,
    "_signal.sigwaitinfo": 2, "_thread._excepthook": 2, "_thread._shutdown": 1, "builtins.input": 2, "epoll.poll": 3,
    "faulthandler.dump_traceback": 1, "poll.poll": 2, "posix.closerange": 3, "posix.fork": 1, "posix.forkpty": 1,
    "posix.system": 2, "posix.wait": 1, "posix.wait3": 2, "sys._setprofileallthreads": 2, "sys._settraceallthreads": 2,
    "sys.excepthook": 4, "sys.unraisablehook": 2,
}  # fmt: skip
# written in Python natively too, or no function; and what makes locks, which for the sake of its speed has words of its own
_LEFT_OUT = (
    "asyncio.base_events", "bdb", "traceback", "threading", "sys.std", "sys.set_asyncgen_hooks",
    "_thread.lock", "_thread.LockType",
)  # fmt: skip
_NAMES = (
    "address", "ancbufsize", "block", "blocking", "buffer", "buffers", "buffersize", "bufsize", "count", "data", "eventmask",
    "family", "fd", "fd2", "file", "flags", "function", "host", "inheritable", "item", "kwargs", "length", "maxevents", "mode",
    "nbytes", "path", "seconds", "signalnum", "size", "sizehint", "status", "timeout", "value",
)  # fmt: skip


def _wrong(least: int, name: str) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    for count in (*range(least, 7), 12):
        yield (ODD,) * count, {}
    for value in (-1, -1.5, None, b"\xf0", "\0", 1 << 80):
        if value == b"\xf0" and name.startswith(("_socket.get", "select.select")):
            continue  # it would be looked up; and 240 may be the number of an open descriptor, which would be waited for
        for count in range(max(least, 1), 6):
            yield (value,) * count, {}
    for count in range(5):
        yield (ODD,) * count, {"colour": ODD}
        yield (-1,) * count, {"colour": ODD}
    for keyword in _NAMES:
        for count in range(4):
            yield (-1,) * count, {keyword: ODD}


def _call_all(t: Any, name: str, make: Callable[[], Any]) -> None:
    for args, kwargs in _wrong(_LEAST.get(name, 0), name):
        if kwargs and name == "SimpleQueue.get_nowait":
            continue  # 3.11 takes any, and ignores them
        label = f"{name}({args!r}, {kwargs!r})"
        try:
            value = make()(*args, **kwargs)
        except BaseException as error:
            t.error(label, error)
        else:
            t.note(label, type(value).__name__)


def _rows() -> Iterator[tuple[str, Callable[[], Any]]]:
    for row in TABLE:
        if row.group in ("children", "sqlite3", "packages"):
            continue
        try:
            owner: Any = importlib.import_module(row.module)
            for part in row.name.split("."):
                owner = getattr(owner, part)
        except (ImportError, AttributeError):
            continue  # not in this version, or on this platform
        name = f"{row.module}.{row.name}"
        if not name.startswith(_LEFT_OUT) and row.module != "socket":
            yield name, owner


def call_functions(t: Any, module: str) -> None:
    for name, thing in _rows():
        if callable(thing) and name.partition(".")[0] == module:
            _call_all(t, name, lambda thing=thing: thing)


def _of_class(thing: Any, name: str) -> Callable[..., Any]:
    method = getattr(type(thing), name)
    is_of_class = isinstance(inspect.getattr_static(type(thing), name), (classmethod, types.ClassMethodDescriptorType))
    return method if is_of_class else functools.partial(method, thing)


def call_methods(t: Any, kind: str, real: Any, make: Callable[[contextlib.ExitStack], Any]) -> None:
    """Of an object that `make` makes; `real` is the interpreter's own class."""
    for name in sorted(vars(real)):
        if name.startswith("_") or not callable(getattr(real, name)):
            continue
        with contextlib.ExitStack() as stack:
            # as code calls it: by the class's method, which words some errors in another way than a bound one
            _call_all(t, f"{kind}.{name}", lambda name=name, stack=stack: _of_class(make(stack), name))
