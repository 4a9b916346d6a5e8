"""Waiting until the disk has written: on a native thread, while other dhagas run, where that pays.

It pays where the disk takes longer than the way to a native thread and back.  That is measured, for each device: how long its
calls took of late.  Of a device that is not known yet the first call takes the way; of one that is as fast as memory, as most
file systems in memory are, calls are made directly, and measured too.  Where nobody else could run they are made directly.

As natively a signal's handler is called when the call has ended: it can't be cut short, and a kill is due at the next wait.
"""

from __future__ import annotations

import posix
from collections.abc import Callable
from functools import partial
from typing import Any

from greenlet import getcurrent

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch._real import pristine
from dhagapatch.core import hub_for_wait
from dhagapatch.core.interrupts import deliver_handlers, held_back
from dhagapatch.core.kernelcalls import FDATASYNC, FSYNC, SYNC, call_in_kernel
from dhagapatch.green.wording import worded_by

__all__ = ["fdatasync", "fsync", "sync"]

_fsync, _fdatasync, _sync = pristine(posix, "fsync"), pristine(posix, "fdatasync"), pristine(posix, "sync")
_WAY = 60e-6  # seconds
_WEIGHT = 0.25  # of the latest call in what is known of a device
_KNOWN = 64  # devices
_ALL = -1  # all devices

_took: dict[int, float] = {}  # seconds, by device: a moving average


def _note(device: int, seconds: float) -> None:
    before = _took.get(device)
    if before is None and len(_took) >= _KNOWN:
        _took.clear()
    _took[device] = seconds if before is None else before + (seconds - before) * _WEIGHT


def _written(device: int, kind: int, fd: int, call: Callable[[], None]) -> None:
    hub = hub_for_wait()
    if hub is None or not hub.dhagas:
        return call()
    if _took.get(device, _WAY) < _WAY:
        began = _real.monotonic()
        call()
        return _note(device, _real.monotonic() - began)
    me: Any = getcurrent()
    with held_back(me, kills=True):
        seconds = call_in_kernel(hub, kind, fd, call)
    _note(device, seconds)
    if me.dhaga_interrupts is not None:
        deliver_handlers(me)


def _saying(kind: type, number: object) -> Any:
    """What has `fileno` say this, and is called like one of that class: so are errors worded, since 3.15."""
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "fileno": lambda self: number}
    return type(kind.__name__, (), names)()


def _of_file(kind: int, call: Callable[[Any], None], fd: Any) -> None:
    if type(fd) is not int:
        if not hasattr(fd, "fileno"):
            return call(fd)
        number = fd.fileno()  # once
        if type(number) is not int:
            return call(_saying(type(fd), number))  # which says what is wrong with it
        fd = number
    device = None
    try:
        device = _real.os_fstat(fd).st_dev
    except (OSError, OverflowError):
        pass
    return call(fd) if device is None else _written(device, kind, fd, partial(call, fd))  # the call says what is wrong


@worded_by(_fsync)
def fsync(fd: Any) -> None:
    return _of_file(FSYNC, _fsync, fd)


@worded_by(_fdatasync)
def fdatasync(fd: Any) -> None:
    return _of_file(FDATASYNC, _fdatasync, fd)


@worded_by(_sync)
def sync() -> None:
    return _written(_ALL, SYNC, -1, _sync)
