"""A watchdog on a native thread: a test that hangs ends by itself and shows where each dhaga stands.

It works in unpatched programs too (then it shows the native threads), and does not depend on any hub: a hub that is
itself stuck in C code is just what it must be able to report.
"""

from __future__ import annotations

import os
import sys

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import start_helper
from dhagapatch.inspect.snapshot import take

__all__ = ["EXIT_CODE", "Watchdog"]

EXIT_CODE = 86  # of a process that the watchdog ended


class Watchdog:
    """Ends the process with `EXIT_CODE` if it is not fed for `seconds`, after a report on file descriptor `fd`.

    .. versionadded:: 0.1
    """

    def __init__(self, seconds: float, fd: int = 2) -> None:
        self._seconds = seconds
        self._fd = fd
        self._label = ""
        self._until = _real.monotonic() + seconds
        self._stop = _real.allocate_lock()
        self._stop.acquire()
        self._pid = _real.os_getpid()
        start_helper(self._watch)

    def feed(self, label: str = "", seconds: float | None = None) -> None:
        """All is well: the time begins anew; `label` names what is being done now."""
        self._label = label
        self._until = _real.monotonic() + (self._seconds if seconds is None else seconds)

    def stop(self) -> None:
        """End the watch."""
        if self._stop.locked():
            self._stop.release()

    def _watch(self) -> None:
        while not self._stop.acquire(True, max(0.0, self._until - _real.monotonic())):
            if _real.monotonic() >= self._until:
                text = f"\nHANG: {self._label or 'nothing was reported'} took too long\n{take()}\n"
                _real.os_write(self._fd, text.encode("utf-8", "backslashreplace"))
                sys.stdout.flush()
                os._exit(EXIT_CODE)
        self._stop.release()  # stop() may come again
