"""What a hub waits with: a poller, and a descriptor by which another OS thread, or a signal handler, ends the wait.

They are made ahead, when the process is patched or has been forked, as a wait must not need a descriptor that it does not need
natively.  Where there is none to be had, a hub goes without: it asks by poll(2), and looks often whether somebody has woken it.
"""

from __future__ import annotations

import os
from collections import deque
from typing import Any

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.extension import speedups
from dhagapatch.core.own import close_own, has_run_out, set_apart
from dhagapatch.core.poller import Poller, PollPoller, make_poller

__all__ = ["PolledWakeup", "Wakeup", "discard_prepared", "is_open", "make_poller_and_wakeup", "prepare"]

_LOOK = 0.005  # seconds: how often a hub without a wake-up descriptor looks whether it was woken


class Wakeup:
    """The two ends, which may be one descriptor; `reader` is for the poller, `writer` (-1: none) for who wakes."""

    def __init__(self) -> None:
        if hasattr(os, "eventfd"):
            self.reader = self.writer = set_apart(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))
        else:
            self.reader, self.writer = map(set_apart, os.pipe())
            _real.os_set_blocking(self.reader, False)
            _real.os_set_blocking(self.writer, False)

    def notify(self) -> None:
        """Make it readable; from any OS thread.

        HAZARD: whoever was waited for may come a moment after the waiter gave up and its OS thread, with the hub, ended; and a
        forked child releases locks for which the parent's threads wait.  Nobody is there to be woken: it is no error.
        """
        try:
            _real.os_write(self.writer, b"\1\0\0\0\0\0\0\0")
        except BlockingIOError:
            pass  # it is readable already
        except OSError:
            if self.writer >= 0:
                raise

    def drain(self, inbox: deque[Any] | None = None) -> None:
        """Make it unreadable; whose calls native threads have made, and woken by it, goes into the inbox (`kernelcalls`)."""
        try:
            _real.os_read(self.reader, 4096)
        except BlockingIOError:
            pass
        if inbox is not None and speedups is not None:
            speedups.collect_calls(self.writer, inbox)

    def close(self) -> None:
        """Give the descriptors back."""
        if speedups is not None:
            speedups.forget_calls(self.writer)
        fds = {self.reader, self.writer}
        self.reader = self.writer = -1
        for fd in fds:
            close_own(fd)

    def is_whole(self) -> bool:
        """Whether its descriptors are still open."""
        return self.reader >= 0 and is_open(self.reader) and is_open(self.writer)


class PolledWakeup(Wakeup):
    """Without a descriptor: the poller beside it returns often."""

    def __init__(self) -> None:
        self.reader = self.writer = -1

    def notify(self) -> None:
        pass

    def drain(self, inbox: deque[Any] | None = None) -> None:
        pass

    def close(self) -> None:
        pass


def is_open(fd: int) -> bool:
    """Whether `fd` is open, and no file of the program's; C code may have closed ours, and the number come again."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}").startswith(("anon_inode:", "pipe:"))
    except FileNotFoundError:
        pass
    try:
        _real.os_fstat(fd)
    except OSError:
        return False
    return not os.path.isdir("/proc/self/fd")  # where there is no such folder it can't be told


Pair = tuple[Poller, Wakeup]
_prepared: list[Pair] = []  # at most one, for the hub of the main thread


def _make() -> Pair:
    poller = make_poller()
    try:
        return poller, Wakeup()
    except BaseException:
        poller.close()
        raise


def prepare() -> None:
    """Make ahead what the main thread's hub will wait with; where no descriptor is left, that is done when it is needed."""
    if not _prepared:
        try:
            _prepared.append(_make())
        except OSError as error:
            if not has_run_out(error):
                raise


def discard_prepared() -> None:
    """Give back what was made ahead: it is the parent's, or nothing is patched any more."""
    while _prepared:
        for one in _prepared.pop():
            one.close()


def make_poller_and_wakeup(ahead: bool = False) -> Pair:
    """What a hub waits with; `ahead`: what was made ahead, if it is there."""
    if ahead and _prepared:
        poller, wakeup = _prepared.pop()
        fd = poller.fileno()
        if wakeup.is_whole() and (fd is None or is_open(fd)):
            return poller, wakeup
    try:
        return _make()
    except OSError as error:
        if not has_run_out(error):
            raise
    return PollPoller(_LOOK), PolledWakeup()
