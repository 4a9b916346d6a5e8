"""Waiting for blocked signals: `signal.sigwait` and its kin."""

from __future__ import annotations

import _signal
import os
import signal as _stdlib
from typing import Any

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch._real import pristine
from dhagapatch.core import hub_for_wait, running_dhaga
from dhagapatch.core.sync import deadline_of
from dhagapatch.green.sigmask import PENDING, valid_set
from dhagapatch.green.waiting import number_of, sleep_until
from dhagapatch.green.wording import worded_by

__all__ = ["sigtimedwait", "sigwait", "sigwaitinfo"]

_c_sigwait: Any = pristine(_signal, "sigwait")
_c_sigwaitinfo: Any = pristine(_signal, "sigwaitinfo")
_c_sigtimedwait: Any = pristine(_signal, "sigtimedwait")
_c_sigpending: Any = pristine(_signal, "sigpending")

# Blocked signals have no descriptor that could be waited for in Python; they are looked for, more and more seldom.
_LEAST, _MOST = 0.001, 0.01  # seconds
_LONGEST = 9e9  # seconds; the native call refuses what does not fit into its clock


def _look(sigset: Any, deadline: float | None) -> Any:
    pause = _LEAST
    me = running_dhaga()
    pending = PENDING.setdefault(me, set()) if me is not None else set()
    while True:
        for signum in sorted(pending & sigset):
            pending.remove(signum)
            return _stdlib.struct_siginfo((signum, 0, 0, os.getpid(), os.getuid(), 0, 0))
        info = _c_sigtimedwait(sigset, 0)
        if info is not None:
            return info
        now = _real.monotonic()
        if deadline is not None and now >= deadline:
            return None
        sleep_until(now + pause if deadline is None else min(now + pause, deadline))
        pause = min(pause * 2, _MOST)


@worded_by(_c_sigwait)
def sigwait(sigset: Any, /) -> Any:
    wanted = None if hub_for_wait() is None else valid_set(sigset)
    if wanted is None:
        return _c_sigwait(sigset)
    if _c_sigtimedwait is not None:
        return _stdlib.Signals(_look(wanted, None).si_signo)
    while not wanted & set(_c_sigpending()):
        sleep_until(_real.monotonic() + _MOST)
    return _c_sigwait(wanted)


@worded_by(_c_sigwaitinfo)
def sigwaitinfo(sigset: Any, /) -> Any:
    wanted = None if hub_for_wait() is None else valid_set(sigset)
    return _c_sigwaitinfo(sigset) if wanted is None else _look(wanted, None)


@worded_by(_c_sigtimedwait)
def sigtimedwait(sigset: Any, timeout: Any, /) -> Any:
    timeout = number_of(timeout)
    if not isinstance(timeout, (int, float)) or not 0 < timeout < _LONGEST or hub_for_wait() is None:
        return _c_sigtimedwait(sigset, timeout)
    wanted = valid_set(sigset)
    return _c_sigtimedwait(sigset, timeout) if wanted is None else _look(wanted, deadline_of(timeout))
