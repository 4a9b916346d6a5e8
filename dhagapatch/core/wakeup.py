"""A descriptor by which another OS thread, or a signal handler, ends a hub's wait: an eventfd, or a pipe."""

from __future__ import annotations

import os

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.own import disown, set_apart
from dhagapatch.core.poller import Poller, make_poller

__all__ = ["Wakeup", "make_poller_and_wakeup"]


class Wakeup:
    """The two ends, which may be one descriptor; `reader` is for the poller."""

    def __init__(self) -> None:
        if hasattr(os, "eventfd"):
            self.reader = self._writer = set_apart(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))
        else:
            self.reader, self._writer = map(set_apart, os.pipe())
            _real.os_set_blocking(self.reader, False)
            _real.os_set_blocking(self._writer, False)

    def notify(self) -> None:
        """Make it readable; from any OS thread.

        HAZARD: whoever was waited for may come a moment after the waiter gave up and its OS thread, with the hub, ended; and a
        forked child releases locks for which the parent's threads wait.  Nobody is there to be woken: it is no error.
        """
        try:
            _real.os_write(self._writer, b"\1\0\0\0\0\0\0\0")
        except BlockingIOError:
            pass  # it is readable already
        except OSError:
            if self._writer >= 0:
                raise

    def drain(self) -> None:
        """Make it unreadable."""
        try:
            _real.os_read(self.reader, 4096)
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Give the descriptors back."""
        fds = {self.reader, self._writer}
        self.reader = self._writer = -1
        for fd in fds:
            _real.os_close(disown(fd))


def make_poller_and_wakeup() -> tuple[Poller, Wakeup]:
    """What a hub waits with; both, or an OSError where there are not enough descriptors left."""
    poller = make_poller()
    try:
        return poller, Wakeup()
    except BaseException:
        poller.close()
        raise
