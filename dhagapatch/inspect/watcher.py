"""One native thread of the runtime's own, for all that must be seen from outside of a hub that is stuck.

It waits in a poller for its descriptors and for the time of its ticks, and takes the interpreter only when there is something to
do.  It is there only while something of this package is turned on.

HAZARD: since 3.12 the interpreter warns of a fork in a process with several native threads, and natively this program may have
one.  So the thread ends before each fork, and begins anew when `os.fork` has returned; a child begins its own when it gets a hub.
"""

from __future__ import annotations

import _thread
import errno
import os
import select
import sys
from typing import Any

from dhagapatch import _real
from dhagapatch._cpython import unraisable_arguments
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import start_helper
from dhagapatch.core.alarms import Alarm
from dhagapatch.core.fork import on_forked
from dhagapatch.core.hub import current_hub, on_new_hub
from dhagapatch.core.netpoll import Netpoll
from dhagapatch.core.own import has_run_out
from dhagapatch.core.wakeup import Wakeup

__all__ = ["Part", "Watcher", "watcher"]

_LONGEST = 3600.0  # seconds
_LEAVE = 1.0  # seconds: how long a fork waits for the thread to end
_LOOK = 0.0002  # seconds


class Part:
    """What the thread does for one feature; all of it but `begin` and `end` is called in that thread.

    `begin` is called when the part is added, and in a forked child that gets a hub; `end` when the part is taken out, and,
    with `forked`, in a forked child at once: what came from the parent must be let go of, or exchanged for its own.
    """

    fds: tuple[int, ...] = ()  # to be called for when one is readable
    at: float | None = None  # monotonic seconds, when to be called

    def begin(self) -> None:
        """Open what is needed."""

    def end(self, forked: bool = False) -> None:
        """Close it."""

    def act(self, ready: list[int]) -> None:
        """Descriptors are ready, or the time has come."""
        raise NotImplementedError


class Watcher:
    """The thread, and its parts."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._held = 0  # forks under way
        self._wakeup: Wakeup | None = None  # for good: who notifies it may have come by it a moment before the thread ends
        self._life: object = None  # that of the thread
        self._ident = self._native_id = 0
        self._fds: list[int] = []
        self._poll: Any = None
        self._prepared = False
        self._dormant = False  # in a forked child without a hub
        self._lock = _real.RLock()

    def add(self, part: Part) -> None:
        """Do this too, from now on."""
        with self._lock:
            if not self._prepared:
                self._prepared = True
                os.register_at_fork(
                    before=self._before_fork, after_in_parent=self._after_fork_in_parent, after_in_child=self._after_fork_in_child
                )
                on_new_hub(lambda hub: self._on_hub())
                on_forked(self._resume)
            self._awake()
            part.begin()
            self._parts = [*self._parts, part]
            self._start()
        self.wake()

    def remove(self, part: Part) -> None:
        """Do this no more; with the last part the thread ends."""
        with self._lock:
            if part not in self._parts:
                return
            self._parts = [one for one in self._parts if one is not part]
            if not self._parts:
                self._stop()
            else:
                self.wake()
            if not self._dormant:
                _end(part)

    def wake(self) -> None:
        """Have it look at its descriptors and times again; from any OS thread, and from a hub."""
        wakeup = self._wakeup
        if wakeup is not None:
            _notify(wakeup)

    # the thread's life

    def _start(self) -> None:
        if self._life is None and not self._held:
            self._make_wakeup()
            if self._wakeup is None:
                return  # no descriptor is left
            life = self._life = object()
            ended = self._ended = _real.allocate_lock()
            ended.acquire()
            self._native_id = 0
            Netpoll.watchers = 1
            start_helper(lambda: self._run(life, ended))

    def _make_wakeup(self) -> None:
        if self._wakeup is None:
            try:
                self._wakeup = Wakeup()
            except OSError as error:  # no reason for the program's wait to fail
                _report(error)

    def _stop(self) -> None:
        life, self._life = self._life, None
        if life is None:
            return
        self.wake()
        Netpoll.watchers = 0
        if _real.get_ident() == self._ident or not self._ended.acquire(True, _LEAVE):
            return
        path = f"/proc/self/task/{self._native_id}"
        until = _real.monotonic() + _LEAVE
        # HAZARD: to the kernel it is there a moment longer
        while os.path.exists(path) and _real.monotonic() < until:
            _real.sleep(_LOOK)

    def _run(self, life: object, ended: _thread.LockType) -> None:
        self._ident = _real.get_ident()
        self._native_id = _thread.get_native_id()
        try:
            while self._life is life:
                try:
                    self._round(life)
                except OSError as error:
                    if error.errno != errno.EBADF:
                        raise
                    self._reopen(life)
        finally:
            if self._ident == _real.get_ident():
                self._ident = 0
            ended.release()

    def _round(self, life: object) -> None:
        parts, wakeup = self._parts, self._wakeup
        assert wakeup is not None
        fds = [wakeup.reader]
        until = None
        for part in parts:
            fds += part.fds
            if (at := part.at) is not None and (until is None or at < until):
                until = at
        if fds != self._fds:
            self._fds, self._poll = fds, _real.poll()
            for fd in fds:
                self._poll.register(fd, select.POLLIN)
        timeout = _LONGEST if until is None else min(max(until - _real.monotonic(), 0.0), _LONGEST)
        if self._life is not life:
            return
        events = dict(self._poll.poll(timeout * 1000))
        if events:
            if any(event & select.POLLNVAL for event in events.values()):
                raise OSError(errno.EBADF, "")
            if wakeup.reader in events:
                wakeup.drain()
        now = _real.monotonic()
        for part in parts:
            mine = [fd for fd in part.fds if fd in events] if events else []
            if (mine or (part.at is not None and part.at <= now)) and part in self._parts and self._life is life:
                try:
                    part.act(mine)
                except Exception as error:
                    if isinstance(error, OSError) and error.errno == errno.EBADF:
                        raise
                    _report(error)

    def _reopen(self, life: object) -> None:
        """The program has closed descriptors of ours, as daemons close all that they find: make new ones."""
        with self._lock:
            if self._life is not life:
                return
            for part in self._parts:
                if any(map(_is_closed, part.fds)):
                    part.fds = ()
                    _begin(part)
            if self._wakeup is not None and _is_closed(self._wakeup.reader):
                self._wakeup = Wakeup()

    # forks

    def _before_fork(self) -> None:
        with self._lock:
            self._held += 1
            self._stop()

    def _after_fork_in_parent(self) -> None:
        with self._lock:
            self._held -= 1
        hub = current_hub()
        if hub is not None and self._parts:
            # HAZARD: C code forks without `os.fork`, which has the thread begin anew when it returns; and here it must not
            Alarm(hub, _real.monotonic(), self._resume)

    def _resume(self) -> None:
        with self._lock:
            if self._parts and not self._dormant:
                self._start()

    def _after_fork_in_child(self) -> None:
        self._lock = _real.RLock()
        self._held = 0
        self._life = None
        if self._wakeup is not None:
            self._wakeup.close()  # it is the parent's
            self._wakeup = None
            self._make_wakeup()
        Netpoll.watchers = 0
        if not self._dormant:
            for part in self._parts:
                _end(part, forked=True)
        self._dormant = True

    def _on_hub(self) -> None:
        """A forked child goes on where its parent was, once it has a hub."""
        with self._lock:
            if self._dormant:
                self._awake()
                if self._parts:
                    self._start()

    def _awake(self) -> None:
        if self._dormant:
            self._dormant = False
            for part in self._parts:
                _begin(part)


def _is_closed(fd: int) -> bool:
    try:
        _real.os_fstat(fd)
    except OSError:
        return True
    return False


def _end(part: Part, forked: bool = False) -> None:
    try:
        part.end(forked)
    except OSError:
        pass  # the program has closed its descriptors


def _begin(part: Part) -> None:
    """Again; a failure is no reason for the program's wait to fail."""
    try:
        part.begin()
    except Exception as error:
        _report(error)


def _report(error: Exception) -> None:
    if isinstance(error, OSError) and has_run_out(error):
        return  # natively nothing of ours would be there either
    message = "Exception ignored in dhagapatch's watcher"
    sys.unraisablehook(unraisable_arguments((type(error), error, error.__traceback__, message, None)))


def _notify(wakeup: Wakeup) -> None:
    try:
        wakeup.notify()
    except OSError:
        pass  # the program has closed it; the thread finds out


watcher = Watcher()
