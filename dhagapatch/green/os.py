"""Cooperative `os`: reading and writing descriptors that can make one wait, opening and closing them.

A descriptor's blocking mode is never changed for longer than a call: pipes are shared with children.  Instead the
kernel is asked whether the call would block; a large write to a pipe is made in pieces that a pipe which has any
room takes whole (PIPE_BUF).
"""

from __future__ import annotations

import errno
import fcntl as _stdlib_fcntl
import os
import posix
import select
import stat
import sys
from collections.abc import Callable
from operator import index
from typing import Any

from greenlet import getcurrent

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch._real import pristine
from dhagapatch.core import READ, WRITE, hub_for_wait
from dhagapatch.core.budget import CALL, charge
from dhagapatch.core.descriptors import forget_descriptor, renew_descriptor, wake_all
from dhagapatch.core.hub import all_hubs
from dhagapatch.core.own import HIGH, OWN, ranges_without_own, refuse_own
from dhagapatch.green.attempts import once, once_each
from dhagapatch.green.kernel import await_record_lock, open_waiting, record
from dhagapatch.green.waiting import is_ready, sleep_until, wait_descriptor
from dhagapatch.green.wording import worded_by

__all__ = [
    "await_ready",
    "close",
    "close_socket",
    "closerange",
    "dup2",
    "eventfd_read",
    "eventfd_write",
    "is_fifo",
    "lockf",
    "open",
    "open_fifo",
    "preadv",
    "pwritev",
    "read",
    "readinto",
    "readv",
    "sched_yield",
    "sendfile",
    "set_blocking",
    "splice",
    "writable_view",
    "write",
    "write_pieces",
    "writev",
]  # fmt: skip

_readinto, _readv, _writev = pristine(posix, "readinto"), pristine(posix, "readv"), pristine(posix, "writev")
_preadv = pristine(posix, "preadv")
_pwritev = pristine(posix, "pwritev")
_sched_yield = pristine(posix, "sched_yield")
_sendfile = pristine(posix, "sendfile")
_splice = pristine(posix, "splice")
_eventfd_read, _eventfd_write = pristine(posix, "eventfd_read"), pristine(posix, "eventfd_write")
_closerange, _dup2 = pristine(posix, "closerange"), pristine(posix, "dup2")
_lockf = pristine(posix, "lockf")
_fcntl = _real.fcntl
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_LEAST, _MOST = 0.001, 0.01  # seconds: how often is tried again what the kernel has no event for
_WRONG_MODE = {READ: os.O_WRONLY, WRITE: os.O_RDONLY}

def await_ready(fd: int, direction: int) -> None:
    """Wait until a read or write of `fd` would not block, or would fail."""
    if is_ready(fd, direction):
        return
    try:
        flags = _fcntl(fd, _stdlib_fcntl.F_GETFL)
    except OSError:
        return
    # HAZARD: a pipe's reading end is never ready for writing: waiting would not end, the call itself fails at once
    if flags & _NONBLOCK or flags & os.O_ACCMODE == _WRONG_MODE[direction]:
        return
    wait_descriptor(fd, direction)


def read(*args: Any, **kwargs: Any) -> bytes:
    if len(args) == 2 and not kwargs:
        fd, length = args
        # anything else is an error, or nothing to wait for (a length of 0); its words are native
        if type(fd) is int and fd >= 0 and type(length) is int and 0 < length <= sys.maxsize:
            await_ready(fd, READ)
        elif hasattr(type(fd), "__index__") and hasattr(type(length), "__index__") and not type(fd) is type(length) is int:
            return read(index(fd), index(length))
    return _real.os_read(*args, **kwargs)


def readinto(*args: Any, **kwargs: Any) -> int:
    if len(args) == 2 and not kwargs:
        fd, buffer = args
        if type(fd) is int and fd >= 0:
            view = writable_view(buffer)
            if view is not None:
                with view:  # it keeps its size during the wait
                    if view.nbytes:
                        await_ready(fd, READ)
                    return int(_readinto(fd, view))
        elif hasattr(type(fd), "__index__") and type(fd) is not int:
            return readinto(index(fd), buffer)
    return int(_readinto(*args, **kwargs))


def writable_view(buffer: Any) -> memoryview | None:
    """Of what something may be read into; None: it is no buffer, or an odd one, which the native call refuses."""
    try:
        view = memoryview(buffer)
    except (TypeError, ValueError, BufferError):
        return None
    if not view.readonly and view.c_contiguous:
        return view
    view.release()
    return None


def _total(buffers: Any, writable: bool) -> int:
    """How many bytes `buffers` are together; 0 for what the native call refuses."""
    if not hasattr(type(buffers), "__getitem__") or isinstance(buffers, dict):
        return 0
    size = 0
    try:
        for part in buffers:
            with memoryview(part) as view:
                if not view.c_contiguous or (writable and view.readonly):
                    return 0
                size += view.nbytes
    except (TypeError, ValueError, BufferError):
        return 0
    return size


def _asked_once(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments whose second is a sequence of buffers, each of which has been asked for its memory, if that takes Python code."""
    return (args[0], once_each(args[1]), *args[2:]) if len(args) > 1 else args


def readv(*args: Any, **kwargs: Any) -> int:
    args = _asked_once(args)
    if len(args) == 2 and not kwargs and type(args[0]) is int and args[0] >= 0 and _total(args[1], True):
        await_ready(args[0], READ)
    return _readv(*args, **kwargs)


def preadv(*args: Any, **kwargs: Any) -> int:
    args = _asked_once(args)
    if not kwargs and len(args) == 3 and args[2] == -1 and type(args[0]) is int and args[0] >= 0 and _total(args[1], True):
        await_ready(args[0], READ)
    return _preadv(*args, **kwargs)


def pwritev(*args: Any, **kwargs: Any) -> int:
    args = _asked_once(args)
    if not kwargs and len(args) == 3 and args[2] == -1 and _total(args[1], False):
        return writev(*args[:2])
    return _pwritev(*args, **kwargs)


def sched_yield() -> None:
    hub = hub_for_wait()
    if hub is not None:
        hub.yield_(getcurrent())
    _sched_yield()


@worded_by(_eventfd_read)
def eventfd_read(fd: int) -> int:
    if type(fd) is int and fd >= 0:
        await_ready(fd, READ)
    return _eventfd_read(fd)


@worded_by(_eventfd_write)
def eventfd_write(fd: int, value: int) -> None:
    if type(fd) is not int or fd < 0 or type(value) is not int or not 0 < value < 1 << 64 or hub_for_wait() is None:
        return _eventfd_write(fd, value)
    await_ready(fd, WRITE)
    if value == 1 or not _real.os_get_blocking(fd):
        return _eventfd_write(fd, value)
    pause = _LEAST
    while True:
        try:
            with _Unblocked(fd):
                return _eventfd_write(fd, value)
        except BlockingIOError:
            pass
        # HAZARD: "writable" says only that there is room for a 1
        sleep_until(_real.monotonic() + pause)
        pause = min(pause * 2, _MOST)


def _takes_any_size(fd: int) -> bool:
    """Whether a write to `fd` that does not block now takes all: a file, or what is in non-blocking mode."""
    mode = _real.os_fstat(fd).st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISBLK(mode) or not _real.os_get_blocking(fd)


def write(*args: Any, **kwargs: Any) -> int:
    if len(args) == 2 and not kwargs:
        fd, data = args
        if type(fd) is int and fd >= 0:
            args = fd, data = fd, once(data)
            try:
                with memoryview(data) as view:
                    size = view.nbytes if view.c_contiguous else 0
            except TypeError:
                size = 0
            if size:  # anything else is an error, or nothing to wait for
                await_ready(fd, WRITE)
                if size > select.PIPE_BUF and hub_for_wait() is not None and not _takes_any_size(fd):
                    with memoryview(data) as view, view.cast("B") as rest:
                        return write_pieces(fd, rest)
        elif hasattr(type(fd), "__index__") and type(fd) is not int:
            return write(index(fd), data)
    return _real.os_write(*args, **kwargs)


def write_pieces(fd: int, rest: memoryview) -> int:
    """Write all of `rest` to a blocking descriptor that is ready; fewer bytes only if an error came after some."""
    terminal = stat.S_ISCHR(_real.os_fstat(fd).st_mode)
    pause = _LEAST
    done = 0
    while True:
        piece = rest[done : done + select.PIPE_BUF]
        try:
            if terminal:
                # HAZARD: a terminal is "writable" when it has room for one byte, not for a piece
                with _Unblocked(fd):
                    done += _real.os_write(fd, piece)
            else:
                done += _real.os_write(fd, piece)
        except BlockingIOError:
            sleep_until(_real.monotonic() + pause)
            pause = min(pause * 2, _MOST)
            continue
        except OSError:
            if not done:
                raise
            return done
        if done >= len(rest):
            return done
        charge(CALL)
        await_ready(fd, WRITE)
        pause = _LEAST


def writev(*args: Any, **kwargs: Any) -> int:
    args = _asked_once(args)
    if len(args) == 2 and not kwargs and type(args[0]) is int and args[0] >= 0:
        fd, buffers = args
        size = _total(buffers, False)
        if size:
            await_ready(fd, WRITE)
            if size > select.PIPE_BUF and hub_for_wait() is not None and not _takes_any_size(fd):
                return write_pieces(fd, memoryview(b"".join(buffers)))
    return _writev(*args, **kwargs)


class _Unblocked:
    """A descriptor in non-blocking mode for the moment of one call."""

    __slots__ = ("fd", "was")

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __enter__(self) -> None:
        self.was = _real.os_get_blocking(self.fd)
        if self.was:
            _real.os_set_blocking(self.fd, False)

    def __exit__(self, *exc_info: object) -> None:
        if self.was:
            _real.os_set_blocking(self.fd, True)


def _moved(call: Callable[[], int], out_fd: int, in_fd: int) -> int:
    """sendfile and splice: move what can be moved now, after both ends are ready."""
    while True:
        await_ready(in_fd, READ)
        await_ready(out_fd, WRITE)
        try:
            blocking = _real.os_get_blocking(out_fd) and _real.os_get_blocking(in_fd)
        except OSError:
            blocking = False
        if not blocking:
            return call()
        try:
            with _Unblocked(out_fd):
                return call()
        except BlockingIOError:
            charge(CALL)


def _waits_to_move(out_fd: Any, in_fd: Any, count: Any) -> bool:
    valid = type(out_fd) is type(in_fd) is type(count) is int
    return valid and out_fd >= 0 and in_fd >= 0 and 0 < count <= sys.maxsize and hub_for_wait() is not None


@worded_by(_sendfile)
def sendfile(out_fd: int, in_fd: int, offset: Any, count: int, *args: Any, **kwargs: Any) -> int:
    def call() -> int:
        return _sendfile(out_fd, in_fd, offset, count, *args, **kwargs)

    return _moved(call, out_fd, in_fd) if _waits_to_move(out_fd, in_fd, count) else call()


@worded_by(_splice)
def splice(src: int, dst: int, count: int, offset_src: Any = None, offset_dst: Any = None, flags: int = 0) -> int:
    def call() -> int:
        return _splice(src, dst, count, offset_src, offset_dst, flags)

    if type(flags) is not int or flags & getattr(os, "SPLICE_F_NONBLOCK", 2) or not _waits_to_move(dst, src, count):
        return call()
    # what is wrong with an offset is told at once
    if any(offset is not None and _is_pipe(fd) for fd, offset in ((src, offset_src), (dst, offset_dst))):
        return call()
    return _moved(call, dst, src)


def _is_pipe(fd: int) -> bool:
    try:
        return stat.S_ISFIFO(_real.os_fstat(fd).st_mode)
    except OSError:
        return False


# opening and closing


def is_fifo(path: Any, dir_fd: int | None = None) -> bool:
    """Whether `path` names a FIFO: opening one waits for the other end."""
    try:
        return stat.S_ISFIFO(_real.os_stat(path, dir_fd=dir_fd).st_mode)
    except (OSError, ValueError, TypeError, OverflowError):
        return False


@worded_by(_real.os_open)
def open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
    waits = type(flags) is int and type(mode) is int and not flags & (_NONBLOCK | _ONLY_NAMES)
    if waits and not isinstance(path, int) and is_fifo(path, dir_fd) and hub_for_wait() is not None:
        return open_fifo(path, flags, mode, dir_fd)
    return _real.os_open(path, flags, mode, dir_fd=dir_fd)


_ONLY_NAMES = getattr(os, "O_PATH", 0)


def open_fifo(path: Any, flags: int, mode: int = 0o777, dir_fd: int | None = None) -> int:
    """Open a FIFO on a native thread; at once, if the other end is there."""
    if (flags & os.O_CREAT and flags & os.O_EXCL) or flags & os.O_ACCMODE == os.O_RDWR:
        return _real.os_open(path, flags, mode, dir_fd=dir_fd)
    if flags & os.O_ACCMODE == os.O_WRONLY:
        fd = _open_writer(path, flags, mode, dir_fd)
        if fd >= 0:
            return fd
    return open_waiting(path, flags, mode, dir_fd)


def _open_writer(path: Any, flags: int, mode: int, dir_fd: int | None) -> int:
    """A descriptor for writing into a FIFO, if somebody reads it, else -1."""
    try:
        fd = _real.os_open(path, flags | _NONBLOCK, mode, dir_fd=dir_fd)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return -1
    _real.os_set_blocking(fd, True)
    return fd


@worded_by(_real.os_close)
def close(fd: int) -> None:
    refuse_own(fd)
    waiting = forget_descriptor(fd) if all_hubs() else []
    try:
        _real.os_close(fd)
    finally:
        wake_all(waiting)


def close_socket(fd: Any, /) -> None:
    refuse_own(fd)
    waiting = forget_descriptor(fd) if all_hubs() and type(fd) is int else []
    try:
        _real.socket_close(fd)
    finally:
        wake_all(waiting)


@worded_by(_real.os_set_blocking)
def set_blocking(fd: int, blocking: Any, /) -> None:
    _real.os_set_blocking(fd, blocking)
    renew_descriptor(index(fd))


@worded_by(_closerange)
def closerange(fd_low: int, fd_high: int, /) -> None:
    waiting = []
    for hub in all_hubs():
        for fd in [fd for fd in list(hub.entries) if fd_low <= fd < fd_high]:
            waiting += forget_descriptor(fd)
    if OWN and type(fd_low) is type(fd_high) is int:
        for low, high in ranges_without_own(fd_low, fd_high):
            _closerange(low, high)
    else:
        _closerange(fd_low, fd_high)
    wake_all(waiting)


@worded_by(_dup2)
def dup2(fd: int, fd2: int, inheritable: bool = True) -> int:
    if type(fd2) is int and fd2 in OWN:
        raise OSError(errno.EBUSY, f"descriptor {fd2} is one of dhagapatch's own: choose a number below {HIGH}")
    waiting = forget_descriptor(fd2) if fd != fd2 else []
    try:
        return _dup2(fd, fd2, inheritable)
    finally:
        wake_all(waiting)


def _place_of(fd: int) -> tuple[int, int]:
    """Where it reads and writes next, as `lseek` takes it."""
    try:
        return os.lseek(fd, 0, os.SEEK_CUR), os.SEEK_SET
    except OSError:
        return 0, os.SEEK_CUR


@worded_by(_lockf)
def lockf(fd: int, command: int, length: int, /) -> None:
    if command == os.F_LOCK and hub_for_wait() is not None:
        try:
            return _lockf(fd, os.F_TLOCK, length)
        except (BlockingIOError, PermissionError):
            pass
        place, whence = _place_of(fd)
        await_record_lock("lockf", fd, record(_stdlib_fcntl.F_WRLCK, whence, place, index(length)))
        return None
    return _lockf(fd, command, length)
