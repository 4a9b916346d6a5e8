"""A signal that has a dump written to standard error, whatever the program is doing; then the program goes on.

Its handler is C code, `faulthandler`'s, which writes to a pipe of ours; the watcher reads it.  So a dump comes while a hub is
stuck in a C call (if that lets go of the interpreter, else at its end), or in a loop, and the program sees nothing of it:
`signal.getsignal` tells what it would without, a handler, SIG_DFL or SIG_IGN that the program sets takes the place of ours, and
the next program after an exec has the default action.
"""

from __future__ import annotations

import _signal
import atexit
import faulthandler
import os
import signal

from dhagapatch import _real
from dhagapatch._errors import DhagapatchError
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.own import close_own, set_apart
from dhagapatch.inspect.watcher import Part, watcher

__all__ = ["DumpSignal", "set_dump_signal"]

_getsignal = _signal.getsignal
_REST = 0.02  # seconds: what the handler writes comes in pieces
_PIPE = 65536  # bytes


class DumpSignal(Part):
    """A part of the watcher."""

    def __init__(self, signum: int) -> None:
        self.signum = signum
        self._writer = -1

    def begin(self) -> None:
        if _getsignal(self.signum) != signal.SIG_DFL:
            return  # a forked child has set a handler
        if not self.fds:
            self._open()
        faulthandler.register(self.signum, file=self._writer, all_threads=False, chain=False)

    def _open(self) -> None:
        reader, writer = os.pipe()
        self.fds = (set_apart(reader),)
        self._writer = set_apart(writer)
        _real.os_set_blocking(self.fds[0], False)
        _real.os_set_blocking(self._writer, False)

    def end(self, forked: bool = False) -> None:
        if not self.fds:
            return
        self.release()
        # HAZARD: if the program has set a handler, `faulthandler` still knows the descriptor, but never comes to use it
        for fd in (self.fds[0], self._writer):
            close_own(fd)
        self.fds = ()
        if forked:
            self._open()  # in the place of the parent's, while there are descriptors

    def release(self) -> None:
        """The signal has its action again."""
        # HAZARD: only if the program has not set another one: it would get that which it had before us
        if self.fds and _getsignal(self.signum) == signal.SIG_DFL:
            faulthandler.unregister(self.signum)

    def act(self, ready: list[int]) -> None:
        (reader,) = self.fds
        _real.sleep(_REST)
        try:
            while _real.os_read(reader, _PIPE):
                pass
            self.fds = ()
            close_own(reader)  # the program has closed the other end, as daemons close all that they find
            self.begin()
            return
        except BlockingIOError:
            pass
        _write(f"{_dump()}\n\n".encode("utf-8", "backslashreplace"))


def _dump() -> str:
    try:
        # not before: a start would pay for it
        from dhagapatch.inspect.snapshot import take
    except ImportError as error:  # the package's files can't be reached any more
        return f"dhagapatch: no dump: {error}"
    return str(take())


def _write(data: bytes) -> None:
    """To standard error; a full pipe is waited for."""
    while data:
        try:
            data = data[_real.os_write(2, data) :]
        except BlockingIOError:
            _real.sleep(_REST)
        except OSError:
            return  # it is closed


def _is_taken(signum: int) -> bool:
    """Whether somebody has a handler for the signal, or has it ignored."""
    if _getsignal(signum) != signal.SIG_DFL:
        return True
    try:
        with _real.io_open("/proc/self/status", "rb") as file:
            caught = next(line for line in file if line.startswith(b"SigCgt:"))
    except (OSError, StopIteration):
        return False
    return bool(int(caught.split()[1], 16) >> (signum - 1) & 1)  # C code's


_signal_now: DumpSignal | None = None


def set_dump_signal(signum: int, must: bool) -> int:
    """Have this signal dump, 0: none; the one that does now.

    If the program handles or ignores it already, it is left, or with `must` a DhagapatchError is raised.
    """
    global _signal_now
    if _signal_now is not None:
        if _signal_now.signum == signum:
            return signum
        watcher.remove(_signal_now)
        _signal_now = None
    if not signum:
        return 0
    if _is_taken(signum):
        if must:
            name = signal.Signals(signum).name
            raise DhagapatchError(f"dump_signal={name!r}: the program handles or ignores it already; choose another")
        return 0
    part = DumpSignal(signum)
    watcher.add(part)
    _signal_now = part
    # in the interpreter's last moments nobody could answer: then it ends the process, as ever
    atexit.register(part.release)
    return signum
