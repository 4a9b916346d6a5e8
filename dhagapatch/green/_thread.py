"""Cooperative `_thread`: starting threads, locks, identity, and (3.13) thread handles.

The classes bear the names and the module of the ones they stand for, as their `repr` shows them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from greenlet import getcurrent

from dhagapatch import _real
from dhagapatch._cpython import LOCK_TYPE_IS_CALLABLE, SHUTDOWN_MESSAGE, SHUTDOWN_RAISES, shutdown_locks
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import (
    Dhaga,
    Queue,
    compiled,
    make_parker,
    other_native_threads,
    program_frame,
    running_dhaga,
    start_thread,
    sync,
)
from dhagapatch.core.budget import LOOK, charge
from dhagapatch.core.dhaga import report_unraisable
from dhagapatch.core.hub import all_hubs, current_hub, hub_for_wait
from dhagapatch.core.waitq import NOBODY, WaitQueue, queue_of, wake_one
from dhagapatch.green.excepthook import strip
from dhagapatch.green.threading import lighten
from dhagapatch.green.wording import stand_for, worded_by

__all__ = [
    "AdoptedLock", "RLock", "SimpleQueue", "ThreadHandle", "allocate", "allocate_lock", "count", "get_ident", "get_name", "lock",
    "make_thread_handle", "set_name", "set_sentinel", "shown_name", "shutdown", "simple_queue_for", "start_joinable_thread",
    "start_new_thread",
]  # fmt: skip


class lock(sync.Lock):  # the stdlib's name for it
    """A lock that lets other dhagas run while one waits for it."""

    __slots__ = ()

    if not LOCK_TYPE_IS_CALLABLE:

        def __new__(cls, *args: Any, **kwargs: Any) -> Self:
            raise TypeError("cannot create '_thread.lock' instances")

    def __init_subclass__(cls) -> None:
        if cls.__module__ != __name__:
            raise TypeError("type '_thread.lock' is not an acceptable base type")


class AdoptedLock(sync.NativeLock, lock):
    """Stands for a native lock that others may know by another name."""

    __slots__ = ()

    if not LOCK_TYPE_IS_CALLABLE:
        __new__ = object.__new__


class RLock(sync.RLock):
    """A reentrant lock, owned by a dhaga or a native thread."""

    __slots__ = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        init: object = cls.__init__  # type: ignore[misc]
        if (args or kwargs) and init is object.__init__:
            _real.RLock(*args, **kwargs)  # which until 3.14 takes, and ignores, any
        self = object.__new__(cls)
        sync.RLock.__init__(self)  # here: a subclass need not call `__init__`, and may call it twice
        return self

    __init__ = object.__init__

    if hasattr(_real.RLock, "locked"):  # since 3.14

        def locked(self) -> bool:
            """Whether anybody has it."""
            charge(LOOK, True)
            return self._mutex_count != 0


class SimpleQueue(Queue):
    """`queue.SimpleQueue`, whose `get` lets other dhagas run."""

    __slots__ = ()


class _Sentinel(sync.Lock):
    """A lock that is held as long as a dhaga's thread runs; `threading` may ask all of them at each start (up to 3.12)."""

    __slots__ = ("ends_with",)

    def __init__(self, dhaga: Dhaga) -> None:
        super().__init__()
        self.ends_with = dhaga.ident  # which releases it when it ends, for reports

    locked = sync.Lock._is_owned

    def thread_ended(self, _: Dhaga, /) -> None:
        if self._mutex_held:
            self.release()
        shutdown_locks().discard(self)  # before `threading` looks for it among all of them


for _class in (lock, AdoptedLock, _Sentinel):
    stand_for(_class, _real.LockType, lambda _: _real.allocate_lock())
stand_for(RLock, _real.RLock, lambda _: _real.RLock())
stand_for(SimpleQueue, _real.SimpleQueue, lambda _: _real.SimpleQueue())

_new: Callable[[type[lock]], lock] = object.__new__
_NO_NAMES: dict[str, Any] = {}  # for threads that are given none, and copied by whoever gets them


def allocate_lock() -> lock:
    """A new lock; up to 3.12 the type makes none."""
    made = _new(lock)
    made.__init__()  # type: ignore[misc]  # looked up each time: locks may be tracked
    return made


allocate = allocate_lock  # its old name


def simple_queue_for(real: type) -> type:
    """The class that stands for a `SimpleQueue`; one whose module was imported afresh raises that module's `Empty`."""
    if real is _real.SimpleQueue:
        return SimpleQueue
    names = {"__slots__": (), "__module__": "_queue", "__doc__": SimpleQueue.__doc__, "_empty_error": sys.modules["_queue"].Empty}
    return type("SimpleQueue", (SimpleQueue,), names)


def get_ident() -> int:
    """The identity of the dhaga, or of the native thread, that calls."""
    try:
        me = getcurrent()
    except RecursionError:
        raise
    except RuntimeError:
        return _real.get_ident()  # the interpreter's last moments
    if type(me) is Dhaga:
        return me._dhagapatch_token
    if me.parent is None:
        return _real.get_ident()
    dhaga = running_dhaga()
    return _real.get_ident() if dhaga is None else id(dhaga)


def count() -> int:
    """How many threads there are, the main one aside: dhagas, and native threads that are not the runtime's own."""
    if sys.is_finalizing():
        return max(other_native_threads(), 0)  # daemon threads are there no more
    return other_native_threads() + sum(len(hub.dhagas) for hub in all_hubs())


def _starts_natively() -> bool:
    """Whether no dhaga can be started here; a loop that hosts the hub can't park, but gives its threads their time."""
    if hub_for_wait() is not None:
        return False
    hub = current_hub()
    return hub is None or hub.host is None


def start_new_thread(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Any = None, /) -> int:
    valid = callable(function) and isinstance(args, tuple) and (kwargs is None or isinstance(kwargs, dict))
    if not valid or _starts_natively():
        return _real.start_new_thread(function, args, *(() if kwargs is None else (kwargs,)))
    sys.audit("_thread.start_new_thread", function, args, kwargs)
    lighten(function)
    return start_thread(function, args, dict(kwargs) if kwargs else _NO_NAMES).ident


def set_sentinel() -> sync.Lock:
    """A lock that is released when the thread that calls has ended (up to 3.12: `Thread.join` waits for it)."""
    dhaga = running_dhaga()
    if dhaga is None:
        assert _real.set_sentinel is not None
        return AdoptedLock(_real.set_sentinel(), True)  # C code releases it when the OS thread ends, without our knowing
    sentinel = _Sentinel(dhaga)
    dhaga.at_end(sentinel)
    return sentinel


# 3.13: joinable threads

_NOT_STARTED, _RUNNING, _DONE = range(3)
_NATIVE_JOIN = 0.02  # seconds: how often the end of a native thread is looked for
_joined_at_exit: set[ThreadHandle] = set()


class ThreadHandle:
    """What `Thread` joins: its state, and those who wait for its end.

    A handle of a native thread (`native`) is asked now and then, as C code marks it.
    """

    __slots__ = ("_dhaga", "_ident", "_native", "_pid", "_state", "_waiters")

    def __init__(self, *ignored: object, **too: object) -> None:  # the C class takes, and ignores, any
        self._native: Any = None
        self._dhaga: Dhaga | None = None
        self._ident = 0
        self._pid = 0  # of who started it: a child of a fork may do that
        self._state = _NOT_STARTED
        self._waiters: WaitQueue | tuple[()] = NOBODY

    @classmethod
    def over(cls, native: Any) -> ThreadHandle:
        """One for a native thread."""
        self = cls()
        self._native, self._ident, self._state = native, native.ident, _RUNNING
        return self

    @property
    def ident(self) -> int:
        return self._ident if self._native is None else int(self._native.ident)

    @property
    def ends_with(self) -> int:
        """The thread that it stands for, for reports."""
        return self.ident

    def is_done(self) -> bool:
        charge(LOOK, True)
        if self._native is not None:
            return self._state == _DONE or bool(self._native.is_done())
        if self._state == _RUNNING and self._pid != _real.os_getpid():
            # HAZARD: a forked child: `threading` asks before our own fork callback has run
            return running_dhaga() is not self._dhaga
        return self._state == _DONE

    def _set_done(self) -> None:
        if self._state == _NOT_STARTED:
            raise RuntimeError("thread not started")
        self._state = _DONE
        if self._native is not None:
            self._native._set_done()
        _joined_at_exit.discard(self)
        while self._waiters:
            wake_one(self)

    def thread_ended(self, _: Dhaga, /) -> None:
        self._dhaga = None
        self._set_done()

    def join(self, timeout: float | None = None, /) -> None:
        if timeout is not None and (type(timeout) not in (int, float) or not abs(timeout) <= _real.TIMEOUT_MAX):
            try:
                _real.ThreadHandle().join(timeout)  # who refuses it does so first, in the native words
            except RuntimeError:
                pass
            timeout = sync.seconds_of(timeout)
        if self._state == _NOT_STARTED:
            raise RuntimeError("thread not started")
        if not self.is_done() and self.ident == get_ident():
            raise RuntimeError("Cannot join current thread")
        if timeout is not None and timeout < 0:
            timeout = None
        deadline = sync.deadline_of(timeout)
        while not self.is_done():
            parker = make_parker()
            waiters = queue_of(self)
            waiters.append(parker)
            until = deadline
            if self._native is not None or parker.buried:
                until = _real.monotonic() + _NATIVE_JOIN
                until = until if deadline is None else min(until, deadline)
            try:
                # HAZARD: it may have ended since it was asked: another OS thread's, or beside a finalizer that has waited here
                woken = self.is_done() or parker.park(until, self)
            finally:
                waiters.leave(parker)
            if not woken and deadline is not None and _real.monotonic() >= deadline:
                return

    def __repr__(self) -> str:
        return f"<_thread._ThreadHandle object: ident={self.ident}>"


if _real.ThreadHandle is not None:
    stand_for(ThreadHandle, _real.ThreadHandle, lambda _: _real.ThreadHandle())


def make_thread_handle(ident: int, /) -> ThreadHandle:
    """A handle for a thread that runs already."""
    assert _real.make_thread_handle is not None
    return ThreadHandle.over(_real.make_thread_handle(ident))


@worded_by(_real.set_name)
def set_name(name: str) -> None:
    """Name the thread that calls, as the system does; a dhaga leaves the OS thread its name (since 3.14)."""
    dhaga = running_dhaga()
    if dhaga is None or not isinstance(name, str):
        _real.set_name(name)
    else:
        dhaga.os_name = name


def get_name() -> str:
    """The name that the system shows of the thread that calls (since 3.14)."""
    dhaga = running_dhaga()
    return shown_name(None if dhaga is None else dhaga.os_name)


def shown_name(name: str | None) -> str:
    """What the system makes of a thread's name; of the OS thread that calls, if it is None (since 3.14)."""
    before: str = _real.get_name()
    if name is None:
        return before
    _real.set_name(name)
    try:
        shown: str = _real.get_name()
    finally:
        _real.set_name(before)
    return shown


def start_joinable_thread(
    function: Callable[..., Any], handle: ThreadHandle | None = None, daemon: bool = True
) -> ThreadHandle:
    if not callable(function):
        raise TypeError("thread function must be callable")
    if handle is None:
        handle = ThreadHandle()
    if handle._state != _NOT_STARTED:
        raise RuntimeError("thread already started")
    if _starts_natively():
        assert _real.start_joinable_thread is not None
        handle._native = _real.start_joinable_thread(function, daemon=daemon)
        handle._state = _RUNNING
        return handle
    sys.audit("_thread.start_joinable_thread", function, daemon, handle)
    handle._pid = _real.os_getpid()
    handle._state = _RUNNING
    lighten(function)
    if not daemon:
        _joined_at_exit.add(handle)
    try:
        dhaga = handle._dhaga = start_thread(function, (), _NO_NAMES, handle)
    except BaseException:
        handle._state = _NOT_STARTED  # there is no memory for it: nobody is to be joined, and it may be tried again
        _joined_at_exit.discard(handle)
        raise
    handle._ident = dhaga.ident
    return handle


def shutdown() -> None:
    """Join the threads that are not daemons, as the interpreter does at exit."""
    while others := [handle for handle in _joined_at_exit if handle.ident != get_ident()]:
        for handle in others:
            if handle.is_done():
                _joined_at_exit.discard(handle)
                continue
            try:
                handle.join()
            except BaseException as error:  # a signal's handler has raised: as natively, nobody is waited for any more
                if SHUTDOWN_RAISES:
                    raise
                strip(error)
                if error.__traceback__ is None:  # a handler in C: then the interpreter shows the frame of the call
                    here = program_frame(sys._getframe())
                    error.__traceback__ = here and TracebackType(None, here, here.f_lasti, here.f_lineno)
                report_unraisable(error, SHUTDOWN_MESSAGE)
                return
    if _real.thread_shutdown is not None:
        _real.thread_shutdown()


if compiled.speedups is not None:
    globals().update(compiled.speedups.setup_threads({
        "lock": lock, "init": lock.__init__, "NOBODY": NOBODY, "get_ident": get_ident, "allocate_lock": allocate_lock,
        "real": {"get_ident": _real.get_ident, "allocate_lock": _real.allocate_lock, "allocate": _real.allocate},
    }))  # fmt: skip
