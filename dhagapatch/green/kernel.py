"""Waits in the kernel of which no descriptor tells: for the lock of a file, the other end of a FIFO, any child.

A native thread makes the call.  Who wakes the dhaga: that thread, when the call has come back.  Who ends the call if the dhaga
leaves (a handler raised, a kill, a `Timeout`): the dhaga, by a signal to that thread, before it goes on; so it does not happen
later.  After a fork the child has neither the thread nor the wait.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.endable import Ending
from dhagapatch.core.offload import offload_endable, offload_wait
from dhagapatch.green.waiting import sleep_until

__all__ = ["TAKEN", "await_child", "await_flock", "await_record_lock", "open_waiting", "record"]

TAKEN = (errno.EAGAIN, errno.EACCES)  # what a call that does not wait says of a lock that another has
_LEAST, _MOST = 0.001, 0.02  # seconds: how often a lock is tried, where a wait for it could not be ended
_flock, _waitid = fcntl.flock, getattr(os, "waitid", None)
_RECORD = struct.Struct("@hhqqi")  # struct flock: type, whence, start, length, process
_TYPE = struct.Struct("@h")


def _syscalls() -> Any:
    """`core.syscalls`, or None where it is of no use."""
    try:
        from dhagapatch.core import syscalls
    except (ImportError, OSError):  # an interpreter without ctypes; or no descriptor is left to read the file
        return None
    return syscalls if syscalls.can_stop() else None


def _wait(calls: Any, name: str, call: Callable[[], Any], undo: Callable[[Any], object] | None) -> Any:
    return offload_endable(Ending(name, partial(calls.interruptible, call), calls.stop, undo, again=True))


def _await_lock(name: str, blocking: Callable[[Any], Any], trying: Callable[[], Any], undo: Callable[[Any], object]) -> Any:
    """Wait for a lock that another has: on a native thread, or, where that can't be had, by trying again and again."""
    calls = _syscalls()
    if calls is not None:
        try:
            return _wait(calls, name, partial(blocking, calls), undo)
        except RuntimeError:
            pass  # no thread can be had
    pause = _LEAST
    while True:
        sleep_until(_real.monotonic() + pause)
        try:
            return trying()
        except OSError as error:
            if error.errno not in TAKEN:
                raise
        pause = min(pause * 2, _MOST)


def await_flock(fd: Any, operation: int) -> None:
    """`fcntl.flock`, which waits."""
    number = fd if isinstance(fd, int) else fd.fileno()
    _await_lock(
        "flock", lambda calls: calls.flock(number, operation), lambda: _flock(number, operation | fcntl.LOCK_NB),
        lambda _: _flock(number, fcntl.LOCK_UN),
    )  # fmt: skip


def record(kind: int, whence: int, start: int, length: int) -> bytes:
    """What `fcntl.fcntl` takes for a lock of a part of a file."""
    return _RECORD.pack(kind, whence, start, length, 0)


def await_record_lock(name: str, fd: Any, lock: bytes, waiting: int = fcntl.F_SETLKW, trying: int = fcntl.F_SETLK) -> bytes:
    """`fcntl.fcntl` with the command `waiting`, F_SETLKW or F_OFD_SETLKW; `trying` is the one that does not wait."""
    number = fd if isinstance(fd, int) else fd.fileno()
    unlock = _TYPE.pack(fcntl.F_UNLCK) + lock[_TYPE.size :]
    return _await_lock(
        name, lambda calls: calls.set_lock(number, waiting, lock), lambda: _real.fcntl(number, trying, lock),
        lambda _: _real.fcntl(number, trying, unlock),
    )  # fmt: skip


def open_waiting(path: Any, flags: int, mode: int, dir_fd: int | None) -> int:
    """`os.open` of a FIFO, which waits for the other end."""
    calls = _syscalls()
    if calls is None:
        opens = Ending("open", lambda: _real.os_open(path, flags, mode, dir_fd=dir_fd), None, _real.os_close)
        return offload_endable(opens)
    flags |= os.O_CLOEXEC
    sys.audit("open", path, None, flags)
    name = os.fsencode(path)
    try:
        return _wait(calls, "open", lambda: calls.open_at(name, flags, mode, dir_fd), _real.os_close)
    except OSError as error:
        error.filename = path
        raise


def await_child(kind: int, ident: int, options: int) -> None:
    """Wait until `os.waitid` has something to say; it is left for another call."""
    calls = _syscalls()
    try:
        if calls is None:
            offload_wait(_waitid, kind, ident, options)  # type: ignore[arg-type]
        else:
            _wait(calls, "waitid", lambda: calls.await_child(kind, ident, options), None)
    except OSError:
        pass  # the call itself will tell
