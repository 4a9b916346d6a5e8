"""Waiting for children: `os.wait` and its kin, and `os.system`.

Children are waited for through a pidfd, where the kernel has it; no SIGCHLD handler is installed.  A wait for any
child, or for a stopped one, has no descriptor: a native thread waits for it (WNOWAIT: it takes nothing away).
"""

from __future__ import annotations

import errno
import os
import posix
from collections.abc import Callable
from typing import Any

from greenlet import getcurrent

from dhagapatch import _real
from dhagapatch._cpython import FORKS_COUNT_ALL_THREADS
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch._real import pristine
from dhagapatch.core import READ, hub_for_wait, offload_wait
from dhagapatch.core.descriptors import forget_descriptor
from dhagapatch.core.extension import speedups
from dhagapatch.core.fork import tell_forked
from dhagapatch.core.hub import parking_hub
from dhagapatch.core.interrupts import held_back
from dhagapatch.core.offload import POOLS, figures
from dhagapatch.core.own import close_own, set_apart
from dhagapatch.green.kernel import await_child
from dhagapatch.green.waiting import wait_descriptor
from dhagapatch.green.wording import worded_by

__all__ = ["fork", "forkpty", "system", "wait", "wait3", "wait4", "waitid", "waitpid"]

_wait, _wait3, _wait4, _waitid = (pristine(posix, name) for name in ("wait", "wait3", "wait4", "waitid"))
_system = pristine(posix, "system")
_fork, _forkpty = pristine(posix, "fork"), pristine(posix, "forkpty")
_pidfd_open = pristine(posix, "pidfd_open")
_ENDING = 0.2  # seconds: threads that were told to end are waited for so long at most
_LOOK = 0.0001


def _await_child(pid: int, options: int) -> None:
    """Wait until the wait call asked for has something to say, or can't have."""
    if pid > 0 and _pidfd_open is not None and not options & (os.WUNTRACED | getattr(os, "WCONTINUED", 0)):
        try:
            fd = set_apart(_pidfd_open(pid))
        except OSError as error:
            if error.errno in (errno.ESRCH, errno.EINVAL):
                return  # no such child: the call itself will tell
            fd = -1  # not known to the kernel, or no descriptor left: the pool can do it
        if fd >= 0:
            try:
                wait_descriptor(fd, READ)
            finally:
                forget_descriptor(fd)
                close_own(fd)
            return
    if _waitid is None:
        raise OSError(errno.ENOSYS, "waiting for any child needs os.waitid on this platform")
    kind = os.P_PID if pid > 0 else os.P_ALL if pid == -1 else os.P_PGID
    flags = os.WEXITED | os.WNOWAIT
    if options & os.WUNTRACED:
        flags |= os.WSTOPPED
    if options & os.WCONTINUED:
        flags |= os.WCONTINUED
    await_child(kind, abs(pid) if pid != -1 else 0, flags)


def _asked(result: Any) -> Any:
    """What a wait call said that does not wait.

    HAZARD: who asks again and again whether a child has ended (`multiprocessing.Pool` does, while it has results to be
    taken) would never let another dhaga run; a thread would be preempted.
    """
    if (result is None or not result[0]) and (hub := parking_hub()) is not None:
        hub.yield_(getcurrent())
    return result


def _wait_for(pid: int, options: int, call: Callable[[int], Any]) -> Any:
    if type(options) is not int or type(pid) is not int or options & os.WNOHANG or hub_for_wait() is None:
        return _asked(call(options))
    while True:
        result = call(options | os.WNOHANG)
        if result[0]:
            return result
        _await_child(pid, options)


@worded_by(_real.os_waitpid)
def waitpid(pid: int, options: int, /) -> Any:
    return _wait_for(pid, options, lambda flags: _real.os_waitpid(pid, flags))


@worded_by(_wait)
def wait() -> Any:
    return _wait_for(-1, 0, lambda flags: _real.os_waitpid(-1, flags))


@worded_by(_wait3)
def wait3(options: int) -> Any:
    return _wait_for(-1, options, lambda flags: _wait3(flags))


@worded_by(_wait4)
def wait4(pid: int, options: int) -> Any:
    return _wait_for(pid, options, lambda flags: _wait4(pid, flags))


@worded_by(_waitid)
def waitid(idtype: int, id: int, options: int, /) -> Any:
    if not type(idtype) is type(id) is type(options) is int or options & os.WNOHANG or hub_for_wait() is None:
        return _asked(_waitid(idtype, id, options))
    while True:
        result = _waitid(idtype, id, options | os.WNOHANG)
        if result is not None:
            return result
        if idtype == os.P_PID and not options & (os.WSTOPPED | os.WCONTINUED):
            _await_child(id, 0)
        else:
            await_child(idtype, id, options | os.WNOWAIT)


@worded_by(_fork)
def fork() -> int:
    return int(_forked(_fork, lambda pid: pid))


@worded_by(_forkpty)
def forkpty() -> tuple[int, int]:
    return _forked(_forkpty, lambda result: result[0])


def _tasks() -> int:
    """The threads that the kernel sees, and two.  HAZARD: there may be no descriptor left to list them."""
    try:
        return int(_real.os_stat("/proc/self/task").st_nlink)
    except OSError:
        return 0  # without /proc the interpreter does not count them either


def _end_idle_threads() -> None:
    """Natively there are none, and the interpreter counts those of the process, and warns."""
    threads, tasks = figures()["threads"], _tasks()
    until = _real.monotonic() + _ENDING
    while True:
        left = [one.end_idle() for one in POOLS]
        if speedups is not None:
            left.append(speedups.pool_end_idle())
        gone = threads - figures()["threads"]
        if not any(left) and _tasks() <= max(tasks - gone, 0):
            return
        if _real.monotonic() > until:
            return
        _real.sleep(_LOOK)


def _forked(call: Callable[[], Any], pid_of: Callable[[Any], int]) -> Any:
    """The runtime's own native threads, which are not there while it forks, come back after the call only."""
    in_child = False
    if FORKS_COUNT_ALL_THREADS and any(figures().values()):
        _end_idle_threads()
    try:
        result = call()
        in_child = pid_of(result) == 0
        return result
    finally:
        if not in_child:
            tell_forked()


@worded_by(_system)
def system(command: Any) -> int:
    if hub_for_wait() is None:
        return _system(command)
    # Ctrl-C is the child's alone meanwhile; other signals are looked at when it has ended, as the C library waits for it
    with held_back(getcurrent()):
        return offload_wait(_system, command)
