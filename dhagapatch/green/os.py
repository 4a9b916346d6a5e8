"""Cooperative `os`: reading and writing descriptors that can make one wait, and waiting for children.

A descriptor's blocking mode is never changed for longer than a call: pipes are shared with children.  Instead the
kernel is asked whether the call would block; a large write to a pipe is made in pieces that a pipe which has any
room takes whole (PIPE_BUF).

Children are waited for through a pidfd, where the kernel has it; no SIGCHLD handler is installed.  A wait for any
child, or for a stopped one, has no descriptor: a native thread waits for it (WNOWAIT: it takes nothing away).
"""

from __future__ import annotations

import errno
import os
import select
import stat
from collections.abc import Callable
from typing import Any

from dhagapatch import _real
from dhagapatch.core import READ, WRITE, hub_for_wait, offload
from dhagapatch.core.hub import all_hubs, forget_descriptor, wake_all
from dhagapatch.green.waiting import current_hub, wait_descriptor

__all__ = [
    "close", "closerange", "dup2", "eventfd_read", "eventfd_write", "lockf", "open", "read", "readv", "sendfile", "splice",
    "system", "wait", "wait3", "wait4", "waitid", "waitpid", "write", "writev",
]  # fmt: skip

_readv, _writev = getattr(os, "readv", None), getattr(os, "writev", None)
_sendfile = getattr(os, "sendfile", None)
_splice = getattr(os, "splice", None)
_eventfd_read, _eventfd_write = getattr(os, "eventfd_read", None), getattr(os, "eventfd_write", None)
_closerange, _dup2 = os.closerange, os.dup2
_wait3, _wait4, _waitid = os.wait3, os.wait4, getattr(os, "waitid", None)
_system = os.system
_lockf = getattr(os, "lockf", None)
_pidfd_open = getattr(os, "pidfd_open", None)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)


def read(fd: Any, length: Any, /) -> bytes:
    if isinstance(fd, int) and fd >= 0:
        wait_descriptor(fd, READ)
    return _real.os_read(fd, length)


def readv(fd: Any, buffers: Any, /) -> int:
    if isinstance(fd, int) and fd >= 0:
        wait_descriptor(fd, READ)
    return _readv(fd, buffers)  # type: ignore[misc]


def eventfd_read(fd: int) -> int:
    wait_descriptor(fd, READ)
    return _eventfd_read(fd)  # type: ignore[misc]


def eventfd_write(fd: int, value: int) -> None:
    wait_descriptor(fd, WRITE)
    _eventfd_write(fd, value)  # type: ignore[misc]


def _takes_any_size(fd: int) -> bool:
    """Whether a write to `fd` that does not block now takes all: a file, or what is in non-blocking mode."""
    mode = _real.os_fstat(fd).st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or not _real.os_get_blocking(fd)


def write(fd: Any, data: Any, /) -> int:
    if not isinstance(fd, int) or fd < 0:
        return _real.os_write(fd, data)
    wait_descriptor(fd, WRITE)
    with memoryview(data) as view:
        if view.nbytes <= select.PIPE_BUF or current_hub() is None or _takes_any_size(fd):
            return _real.os_write(fd, data)
        with view.cast("B") as rest:
            return write_pieces(fd, rest)


def write_pieces(fd: int, rest: memoryview) -> int:
    """Write all of `rest` to a blocking descriptor; fewer bytes only if an error came after some."""
    done = 0
    while done < len(rest):
        try:
            done += _real.os_write(fd, rest[done : done + select.PIPE_BUF])
            wait_descriptor(fd, WRITE)
        except OSError:
            if not done:
                raise
            break
    return done


def writev(fd: Any, buffers: Any, /) -> int:
    buffers = list(buffers)
    if not isinstance(fd, int) or fd < 0:
        return _writev(fd, buffers)  # type: ignore[misc]
    wait_descriptor(fd, WRITE)
    if sum(memoryview(part).nbytes for part in buffers) <= select.PIPE_BUF or current_hub() is None or _takes_any_size(fd):
        return _writev(fd, buffers)  # type: ignore[misc]
    return write_pieces(fd, memoryview(b"".join(buffers)))


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


def _moved(call: Callable[..., int], out_fd: int, in_fd: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """sendfile and splice: move what can be moved now, after both ends are ready."""
    if hub_for_wait() is None or not _real.os_get_blocking(out_fd):
        return call(*args, **kwargs)
    while True:
        wait_descriptor(in_fd, READ)
        wait_descriptor(out_fd, WRITE)
        try:
            with _Unblocked(out_fd):
                return call(*args, **kwargs)
        except BlockingIOError:
            continue


def sendfile(out_fd: int, in_fd: int, offset: Any, count: int, *args: Any, **kwargs: Any) -> int:
    return _moved(_sendfile, out_fd, in_fd, (out_fd, in_fd, offset, count, *args), kwargs)  # type: ignore[arg-type]


def splice(src: int, dst: int, count: int, *args: Any, **kwargs: Any) -> int:
    return _moved(_splice, dst, src, (src, dst, count, *args), kwargs)  # type: ignore[arg-type]


# opening and closing


def is_fifo(path: Any) -> bool:
    """Whether `path` names a FIFO: opening one waits for the other end."""
    try:
        return stat.S_ISFIFO(_real.os_stat(path).st_mode)
    except (OSError, ValueError, TypeError):
        return False


def open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
    if not flags & _NONBLOCK and dir_fd is None and is_fifo(path) and hub_for_wait() is not None:
        return open_fifo(path, flags, mode)
    return _real.os_open(path, flags, mode, dir_fd=dir_fd)


def open_fifo(path: Any, flags: int, mode: int = 0o777) -> int:
    """Open a FIFO on a native thread; at once, if the other end is there."""
    if flags & (os.O_WRONLY | os.O_RDWR) == os.O_WRONLY:
        try:
            fd = _real.os_open(path, flags | _NONBLOCK, mode)
            _real.os_set_blocking(fd, True)
            return fd
        except OSError as error:
            if error.errno != errno.ENXIO:  # nobody reads yet
                raise
    return offload(_real.os_open, path, flags, mode)


def close(fd: int) -> None:
    waiting = forget_descriptor(fd) if all_hubs() else []
    try:
        _real.os_close(fd)
    finally:
        wake_all(waiting)


def closerange(fd_low: int, fd_high: int, /) -> None:
    waiting = []
    for hub in all_hubs():
        for fd in [fd for fd in hub.entries if fd_low <= fd < fd_high]:
            waiting += forget_descriptor(fd)
    _closerange(fd_low, fd_high)
    wake_all(waiting)


def dup2(fd: int, fd2: int, inheritable: bool = True) -> int:
    waiting = forget_descriptor(fd2) if fd != fd2 else []
    try:
        return _dup2(fd, fd2, inheritable)
    finally:
        wake_all(waiting)


# children


def _await_child(pid: int, options: int) -> None:
    """Wait until the wait call asked for has something to say, or can't have."""
    if pid > 0 and _pidfd_open is not None and not options & (os.WUNTRACED | getattr(os, "WCONTINUED", 0)):
        try:
            fd = _pidfd_open(pid)
        except OSError as error:
            if error.errno in (errno.ESRCH, errno.EINVAL):
                return  # no such child: the call itself will tell
            fd = -1  # not known to the kernel, or no descriptor left: the pool can do it
        if fd >= 0:
            try:
                wait_descriptor(fd, READ)
            finally:
                close(fd)
            return
    if _waitid is None:
        raise OSError(errno.ENOSYS, "waiting for any child needs os.waitid on this platform")
    kind = os.P_PID if pid > 0 else os.P_ALL if pid == -1 else os.P_PGID
    flags = os.WEXITED | os.WNOWAIT
    if options & os.WUNTRACED:
        flags |= os.WSTOPPED
    if options & os.WCONTINUED:
        flags |= os.WCONTINUED
    try:
        offload(_waitid, kind, abs(pid) if pid != -1 else 0, flags)
    except OSError:
        pass  # the call itself will tell




def _wait_for(pid: int, options: int, call: Callable[[int], Any]) -> Any:
    if options & os.WNOHANG or hub_for_wait() is None:
        return call(options)
    while True:
        result = call(options | os.WNOHANG)
        if result[0]:
            return result
        _await_child(pid, options)


def waitpid(pid: int, options: int, /) -> Any:
    return _wait_for(pid, options, lambda flags: _real.os_waitpid(pid, flags))


def wait() -> Any:
    return waitpid(-1, 0)


def wait3(options: int) -> Any:
    return _wait_for(-1, options, lambda flags: _wait3(flags))


def wait4(pid: int, options: int) -> Any:
    return _wait_for(pid, options, lambda flags: _wait4(pid, flags))


def waitid(idtype: int, id: int, options: int, /) -> Any:
    if options & os.WNOHANG or hub_for_wait() is None:
        return _waitid(idtype, id, options)  # type: ignore[misc]
    while True:
        result = _waitid(idtype, id, options | os.WNOHANG)  # type: ignore[misc]
        if result is not None:
            return result
        if idtype == os.P_PID and not options & (os.WSTOPPED | os.WCONTINUED):
            _await_child(id, 0)
        else:
            offload(_waitid, idtype, id, options | os.WNOWAIT)  # type: ignore[arg-type]


def system(command: Any) -> int:
    return offload(_system, command)


def lockf(fd: int, command: int, length: int, /) -> None:
    if command == os.F_LOCK and hub_for_wait() is not None:
        try:
            return _lockf(fd, os.F_TLOCK, length)  # type: ignore[misc]
        except (BlockingIOError, PermissionError):
            pass
        return offload(_lockf, fd, command, length)  # type: ignore[arg-type]
    return _lockf(fd, command, length)  # type: ignore[misc]
