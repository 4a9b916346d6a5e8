"""`ctypes.pythonapi.PyThreadState_SetAsyncExc`: how programs raise an exception in another thread, usually to end it.

The interpreter knows OS threads only.  As natively the exception comes when the thread next runs Python code: a wait is not
cut short, the exception is raised where it ends; since 3.15 a signal that is sent to the thread ends its call of the system.
A dhaga that computes gets it with its next time slice, if there are any.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from greenlet import getcurrent, greenlet

from dhagapatch._cpython import SIGNALS_RAISE_WHAT_IS_SET
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.dhaga import Dhaga, find_dhaga
from dhagapatch.core.hub import all_hubs
from dhagapatch.core.netpoll import Entry
from dhagapatch.core.offload import ON_NATIVE_THREAD

__all__ = ["SetAsyncExc", "signalled"]

_pending: weakref.WeakKeyDictionary[greenlet, Callable[[], NoReturn]] = weakref.WeakKeyDictionary()


class SetAsyncExc:
    """Stands for the C function; what is set on it (``argtypes``, ``restype``) is set on that one."""

    __slots__ = ("_real",)

    def __init__(self, real: Any) -> None:
        object.__setattr__(self, "_real", real)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._real, name, value)

    def __repr__(self) -> str:
        return repr(self._real)

    def __call__(self, *args: Any) -> Any:
        target = _find(_plain(args[0])) if len(args) == 2 else None
        if target is None:
            return self._real(*args)
        if target is getcurrent():
            return self._real(_like(args[0], target.dhaga_hub.ident), args[1])
        _forget(target)
        kind = _plain(args[1])
        if kind is not None:
            error = kind() if isinstance(kind, type) else kind
            if not isinstance(error, BaseException):
                error = TypeError("exceptions must derive from BaseException")
            # HAZARD: called like a signal handler, also where a kill would be left for the next wait
            target.again = False  # it is kept here
            due = _pending[target] = partial(_raise, error)
            if target.dhaga_interrupts is None:
                target.dhaga_interrupts = deque()
            target.dhaga_interrupts.append(due)
        return 1


def signalled(target: Dhaga) -> None:
    """A signal that has a handler was sent to `target`: what it waits for in the kernel is looked at again, a lock is not."""
    if not SIGNALS_RAISE_WHAT_IS_SET or target not in _pending or target.dhaga_hub is None:
        return
    what = target.dhaga_waiting
    if isinstance(what, Entry) or (isinstance(what, str) and not what.endswith(ON_NATIVE_THREAD)):
        target.dhaga_hub.wake(target)


def _plain(argument: Any) -> Any:
    """The Python value of a ctypes instance; None for a null pointer."""
    try:
        return getattr(argument, "value", argument)
    except ValueError:
        return None


def _like(argument: Any, value: int) -> Any:
    return type(argument)(value) if hasattr(argument, "value") else value


def _find(ident: Any) -> greenlet | None:
    """The dhaga, or the main one, that has this identity."""
    return find_dhaga(ident) or next((hub.main for hub in all_hubs() if hub.ident == ident), None)


def _raise(error: BaseException) -> NoReturn:
    raise error


def _forget(target: greenlet) -> None:
    """An exception that has not come yet is replaced by the next one, or taken back."""
    due = _pending.pop(target, None)
    interrupts = target.dhaga_interrupts
    if due is not None and interrupts and due in interrupts:
        interrupts.remove(due)
