"""System calls that wait, made so that a signal to their native thread ends them.

The interpreter's own functions begin such a call again after a signal, unless a handler raised, and handlers run in the main
thread alone.  The signal's action is a function of the C library's that does nothing; it is sent to one native thread, and
blocked in all but that.  Imported at the first such wait, as `ctypes` takes time.
"""

from __future__ import annotations

import ctypes
import os
import signal as _stdlib
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__

__all__ = ["await_child", "can_stop", "flock", "interruptible", "open_at", "set_lock", "stop"]

T = TypeVar("T")
_SIGNAL: int = getattr(_stdlib, "SIGRTMAX", 0) - 6
_ALL_SIGNALS = _stdlib.valid_signals()
_ALL_BUT_ONE = _ALL_SIGNALS - {_SIGNAL}
_AT_FDCWD = -100
_SIGINFO = 128  # bytes
_library: Any = ctypes.CDLL(None, use_errno=True)
_is_set = False


def _prepare() -> bool:
    global _is_set
    if sys.platform != "linux" or ctypes.sizeof(ctypes.c_long) != 8 or _SIGNAL <= 0:
        return False  # the numbers and structures are of that
    try:
        _library.signal.restype = ctypes.c_void_p
        _library.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
        nothing = ctypes.cast(_library.abs, ctypes.c_void_p)
        if _library.signal(_SIGNAL, nothing):  # before it was the default's
            return False
        _real.siginterrupt(_SIGNAL, True)
    except (AttributeError, OSError):
        return False
    _is_set = True
    return True


def can_stop() -> bool:
    """Whether calls can be ended: not if the program has taken the signal for itself."""
    return (_is_set or _prepare()) and _real.getsignal(_SIGNAL) == _stdlib.SIG_DFL


def stop(ident: int) -> None:
    """End the call in which the native thread is; if it is not yet in it, nothing happens."""
    if can_stop():
        _real.pthread_kill(ident, _SIGNAL)


def interruptible(call: Callable[[], T]) -> T:
    """Call it with the signal let in, in a native thread of the runtime's."""
    _real.pthread_sigmask(_stdlib.SIG_SETMASK, _ALL_BUT_ONE)
    try:
        return call()
    finally:
        _real.pthread_sigmask(_stdlib.SIG_BLOCK, _ALL_SIGNALS)


def _checked(function: Any, *args: Any) -> int:
    result: int = function(*args)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def flock(fd: int, operation: int) -> None:
    """``flock(2)``."""
    _checked(_library.flock, fd, operation)


def set_lock(fd: int, command: int, lock: bytes) -> bytes:
    """``fcntl(2)`` with a ``struct flock``; that structure, as the kernel has left it."""
    buffer = ctypes.create_string_buffer(lock, len(lock))
    _checked(_library.fcntl, fd, command, buffer)
    return buffer.raw


def open_at(path: bytes, flags: int, mode: int, dir_fd: int | None) -> int:
    """``openat(2)``; the descriptor."""
    return _checked(_library.openat, _AT_FDCWD if dir_fd is None else dir_fd, path, flags, ctypes.c_uint(mode))


def await_child(kind: int, ident: int, options: int) -> None:
    """``waitid(2)``, whose result is not looked at."""
    _checked(_library.waitid, kind, ctypes.c_uint(ident), ctypes.create_string_buffer(_SIGINFO), options)
