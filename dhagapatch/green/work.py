"""Hashing and compression, which let go of the interpreter: on native threads, as many as there are cores, where that pays.

It pays where the call is expected to take longer than the way to a native thread and back is worth, where other dhagas are there,
and where there is a second core.  `_c/work.h` is called in the place of the native functions, and knows what they took of late;
what is moved is the native call, with its buffers held meanwhile.  Without the compiled part nothing is moved.

As natively a signal's handler is called when the call has ended: it can't be cut short, and a kill is due at the next wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from greenlet import getcurrent

from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch._real import pristine
from dhagapatch.core import compiled, hub_for_wait
from dhagapatch.core.interrupts import deliver_handlers, held_back
from dhagapatch.core.offload import CORES, compute

__all__ = [
    "checksum", "compressobj", "decompressobj", "derivation", "hashing", "keyed_hashing", "named_hashing", "packing", "scrypt",
    "unpacking",
]  # fmt: skip

_WORTH = 120e-6  # seconds: more than what the way to a native thread and back takes
_thread_time: Callable[[], float] = pristine(time, "thread_time")


def _timed(work: int, amount: float, function: Callable[..., Any], args: tuple[Any, ...], names: dict[str, Any] | None) -> Any:
    began = _thread_time()  # HAZARD: not the time until it had the interpreter again
    result = function(*args, **(names or {}))
    compiled.speedups.work_took(work, amount, _thread_time() - began)
    return result


def _move(work: int, amount: float, function: Any, args: tuple[Any, ...], names: dict[str, Any] | None) -> Any:
    """What came of `function` on a native thread; NotImplemented: it is to be called here."""
    hub = hub_for_wait()
    if hub is None or not hub.dhagas or CORES < 2:
        return NotImplemented
    me: Any = getcurrent()
    with held_back(me, kills=True):
        result = compute(function.__name__, _timed, work, amount, function, args, names)
    if me.dhaga_interrupts is not None:
        deliver_handlers(me)
    return result


def _moves(function: Any, place: int, word: str, rate: float, scale: float = 1.0) -> Callable[[], object] | None:
    """Have it moved where that pays; how to take that back.

    `place` and `word`: of the argument that tells how much there is to do, data or a number, of which one counts as `scale`
    bytes; -1: none.  `rate`: the seconds that a byte takes, to begin with.
    """
    if compiled.speedups is None:
        return None

    def set_to(on: bool) -> bool:
        return bool(compiled.speedups.move_works(function, place, word, scale, rate, on))

    return partial(set_to, False) if set_to(True) else None


def hashing(function: Any) -> Callable[[], object] | None:
    return _moves(function, 0, "string", 1e-9)


def named_hashing(function: Any) -> Callable[[], object] | None:
    return _moves(function, 1, "string", 1e-9)


def keyed_hashing(function: Any) -> Callable[[], object] | None:
    return _moves(function, 1, "msg", 1e-9)


def derivation(function: Any) -> Callable[[], object] | None:
    return _moves(function, 3, "iterations", 3e-9, 100.0)


def scrypt(function: Any) -> Callable[[], object] | None:
    return _moves(function, -1, "", 1e-5)


def checksum(function: Any) -> Callable[[], object] | None:
    return _moves(function, 0, "", 1e-9)


def packing(function: Any) -> Callable[[], object] | None:
    return _moves(function, 0, "data", 2e-8)


def unpacking(function: Any) -> Callable[[], object] | None:
    return _moves(function, 0, "data", 5e-9)


def compressobj(make: Any) -> Callable[[], object] | None:
    return packing(type(make()).compress)


def decompressobj(make: Any) -> Callable[[], object] | None:
    return unpacking(type(make()).decompress)


if compiled.speedups is not None:
    compiled.speedups.setup_works(_move, _WORTH)
