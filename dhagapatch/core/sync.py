"""Lock and RLock: what the standard library's own primitives are made of.

A lock is a flag and a queue of waiters beside it.  It may be shared with native threads: CPython changes threads after calls
and at jumps back only, so ``held, self._mutex_held = self._mutex_held, True``, in one line, is an atomic test-and-set (one
line, because a tracer may be called between two).  That costs a tenth of what `acquire(False)` of a native lock does.

Who wakes a waiter: `release`.  The order is: release, then wake one; and a waiter enqueues, *then tries again*,
then parks: whichever comes first, one of the two sees the other.  Who takes a waiter off: itself, on timeout and
on any exception thrown into it; if it was chosen by then, it tries the lock, or passes the wake-up on.  On fork
the child makes the lock anew (`_at_fork_reinit`), as for the native one.  From a native thread: the same code,
with a slot that blocks natively.  At exit nobody: daemon waiters are dropped.

Fairness: a running dhaga may take a lock that was released for a waiter ("barging"; with threads it is the usual
outcome, and cheap).  But in a cooperative runtime it could do so for ever, because the schedule repeats.  So a
waiter that was woken in vain goes back to the head of the queue, and the next release hands the lock over
to it, without freeing it in between (the rule of Go's sync.Mutex, its starvation mode).

And programs poll: ``while not queue.empty(): pass`` is a loop of lock operations that all come through at once.  With
threads the interpreter would preempt it; here every so many operations let the other dhagas have their turn.
"""

from __future__ import annotations

from operator import index
from typing import Any

from greenlet import getcurrent

from dhagapatch import _real
from dhagapatch._cpython import LOCKS_ARE_STRICT, TIMES_ARE_REAL
from dhagapatch._errors import Interruption
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.budget import LEFT, LOOK, OPERATION, charge, spent
from dhagapatch.core.dhaga import owner_token
from dhagapatch.core.interrupts import restore
from dhagapatch.core.parker import Parker, make_parker
from dhagapatch.core.waitq import NOBODY, WaitQueue, queue_of, wake_one

__all__ = ["Lock", "Mutex", "NativeLock", "RLock", "abandon_wait", "deadline_of", "refuse_exit", "seconds_of"]

_NO: Any = object()  # an argument that is not given; HAZARD: all in a tuple would have the collector run before the lock is free
_POLL_LEAST, _POLL_MOST = 0.001, 0.02  # seconds: how often a lock that C code may release is tried


def deadline_of(timeout: float | None) -> float | None:
    """The deadline, in monotonic seconds, of a timeout in seconds (None: no end)."""
    return None if timeout is None else _real.monotonic() + timeout


def seconds_of(timeout: Any) -> float:
    """A timeout that the interpreter has taken, as a number; since 3.15 it takes any real number."""
    if isinstance(timeout, float):
        return timeout
    return float(timeout) if TIMES_ARE_REAL else index(timeout)


def _checked(blocking: bool, timeout: float) -> float:
    """The timeout as a number of seconds; what is no valid one is refused by the interpreter, in its own words."""
    if not blocking or type(timeout) not in (int, float) or not 0 <= timeout <= _real.TIMEOUT_MAX:
        _real.allocate_lock().acquire(blocking, timeout)
        return seconds_of(timeout)
    return timeout


def _is_asked(blocking: Any) -> bool:
    """What `blocking`, which is no bool, means to the interpreter; refused in its own words."""
    held = _real.allocate_lock()
    held.acquire()
    try:
        held.acquire(blocking, 0)
    except ValueError as error:
        if str(error) != "can't specify a timeout for a non-blocking call":
            raise
        return False
    return True


def refuse_exit(exc_info: tuple[object, ...]) -> None:
    """A `with` block is not left so (since 3.15)."""
    raise TypeError(f"__exit__ expected 3 arguments, got {sum(one is not _NO for one in exc_info)}")


def abandon_wait(lock: Mutex, waiters: WaitQueue, parker: Parker) -> None:
    """Who waited for `lock` leaves with an exception: what it got it passes on."""
    if not waiters.leave(parker):
        _pass_on(lock, parker)


def _pass_on(lock: Mutex, parker: Parker) -> None:
    if parker.granted:
        lock._free()
    elif not lock._mutex_held:
        wake_one(lock)


class Mutex:
    """What all locks have in common: a flag, the queue of waiters beside it, and the wait."""

    # `_holder`, a thread's identity, and `_made`, a place, are set only while locks are tracked (`inspect.locks`)
    __slots__ = ("__weakref__", "_holder", "_made", "_mutex_held", "_waiters")

    _mutex_held: bool
    _waiters: WaitQueue | tuple[()]
    _shared = False

    def _take(self, me: int = 0) -> bool:
        """Take it, for the thread `me`, if it is free."""
        held, self._mutex_held = self._mutex_held, True
        return not held

    def _free(self) -> None:
        """Release it."""
        raise NotImplementedError

    def _wait(self, deadline: float | None, me: int = 0) -> bool:
        parker = make_parker()
        parker.owner = me
        waiters = self._waiters or queue_of(self)
        looks = parker.buried
        poll = _POLL_LEAST
        waiters.append(parker)
        try:
            while True:
                if self._take(me):
                    waiters.leave(parker)
                    return True
                until = deadline
                if looks or self._shared:
                    until = _real.monotonic() + poll
                    poll = min(poll * 2, _POLL_MOST)
                    if deadline is not None and deadline < until:
                        until = deadline
                if parker.park(until, self):
                    if parker.granted or self._take(me):
                        return True
                    parker.again()
                    waiters.insert(0, parker)
                elif until is deadline:
                    if waiters.leave(parker):
                        return False
                    return parker.granted or self._take(me)
        except BaseException:
            # HAZARD: as deep as calls can be, `leave` needs no level more than what was called before it stood in the queue
            if not waiters.leave(parker):
                _pass_on(self, parker)
            raise

    def _restore(self, me: int) -> None:
        """Take it for `me` at the end of a wait in a condition.

        HAZARD: a kill, or the end of a `Timeout`, is left for the next wait: whoever waited in a condition counts on the lock.
        """
        kept: list[BaseException] = []
        while not self._take(me):
            try:
                self._wait(None, me)
                break
            except Interruption as error:
                kept.append(error)
        if kept:
            restore(getcurrent(), kept)

    def _at_fork_reinit(self) -> None:
        self._mutex_held = False
        self._waiters = NOBODY


class Lock(Mutex):
    """A mutual exclusion lock that is not owned: anybody may release it."""

    __slots__ = ()
    __qualname__ = "lock"  # what errors of its compiled methods call it

    def __init__(self) -> None:
        self._mutex_held = False
        self._waiters = NOBODY

    # HAZARD: the others have their turn before a lock is taken, never in a release: what is due to the caller is raised
    # then (a kill, KeyboardInterrupt), and who leaves `release` or `_release_save` with an exception does not know
    # whether it holds the lock

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        LEFT[0] = left = LEFT[0] - OPERATION
        if left < 0:
            spent(True)
        if blocking is not True and blocking is not False:
            blocking = _is_asked(blocking)
        if timeout == -1:
            held, self._mutex_held = self._mutex_held, True
            if not held:
                return True
            return self._wait(None) if blocking else False
        timeout = _checked(blocking, timeout)
        return self._take() or self._wait(_real.monotonic() + timeout)

    def __enter__(self) -> bool:
        LEFT[0] = left = LEFT[0] - OPERATION
        if left < 0:
            spent(True)
        held, self._mutex_held = self._mutex_held, True
        return not held or self._wait(None)

    def release(self) -> None:
        if self._waiters and self._mutex_held:
            parker = self._waiters.choose()
            if parker is not None:
                if parker.urgent:
                    parker.granted = True  # handed over: it stays locked
                else:
                    self._mutex_held = False
                parker.wake()
                return
        held, self._mutex_held = self._mutex_held, False
        if not held:
            raise RuntimeError("release unlocked lock")
        if self._waiters:
            wake_one(self)

    def __exit__(self, kind: object = _NO, error: object = _NO, traceback: object = _NO, *rest: object) -> None:
        if LOCKS_ARE_STRICT and (traceback is _NO or rest):
            refuse_exit((kind, error, traceback, *rest))
        if self._waiters:
            self.release()
            return
        held, self._mutex_held = self._mutex_held, False
        if not held:
            raise RuntimeError("release unlocked lock")
        if self._waiters:
            wake_one(self)

    def locked(self) -> bool:
        """Whether it is held."""
        charge(LOOK, True)
        return self._mutex_held

    def _is_owned(self) -> bool:
        """What `threading.Condition` asks, several times for each wait."""
        return self._mutex_held

    def _acquire_restore(self, state: None = None) -> None:
        """What `threading.Condition` calls at the end of a wait."""
        if not self._take():
            self._restore(0)

    _free = _release_save = release
    acquire_lock = acquire
    release_lock = release
    locked_lock = locked

    def __repr__(self) -> str:
        state = "locked" if self._is_owned() else "unlocked"
        return f"<{state} {type(self).__module__}.{type(self).__qualname__} object at {id(self):#x}>"


class NativeLock(Lock):
    """A lock over a native one that exists.

    `shared`: C code, or a holder that could not be rebound, may release it without our knowing; then waiters look for
    themselves now and then.
    """

    __slots__ = ("_native", "_shared", "_until_free")

    def __init__(self, native: Any, shared: bool) -> None:
        self._native = native
        self._shared = shared
        self._until_free = False
        self._waiters = NOBODY

    @property
    def _mutex_held(self) -> bool:
        return bool(self._native.locked())

    @_mutex_held.setter
    def _mutex_held(self, held: bool) -> None:
        assert not held  # `_take` takes it
        self._native.release()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        LEFT[0] = left = LEFT[0] - OPERATION
        if left < 0:
            spent(True)
        if blocking is not True and blocking is not False:
            blocking = _is_asked(blocking)
        if timeout != -1:
            timeout = _checked(blocking, timeout)
        if self._take():
            return True
        return self._wait(None if timeout == -1 else _real.monotonic() + timeout) if blocking else False

    def release(self) -> None:
        if self._waiters:
            super().release()
            return
        self._native.release()
        if self._waiters:
            wake_one(self)

    def __exit__(self, kind: object = _NO, error: object = _NO, traceback: object = _NO, *rest: object) -> None:
        if LOCKS_ARE_STRICT and (traceback is _NO or rest):
            refuse_exit((kind, error, traceback, *rest))
        self.release()

    def _take(self, me: int = 0) -> bool:
        if not self._native.acquire(False):
            return False
        if self._until_free:
            self._shared = self._until_free = False
        return True

    def look_until_free(self) -> None:
        """Waiters look for themselves until one of them has it: who holds it now may release the native one."""
        self._shared = self._until_free = True

    def _at_fork_reinit(self) -> None:
        self._native._at_fork_reinit()
        self._waiters = NOBODY

    __enter__ = acquire_lock = acquire
    _free = release_lock = _release_save = release


class RLock(Mutex):
    """A lock that its owner, a dhaga or a native thread, may acquire again.

    HAZARD: a finalizer may run after any call, in the very thread that is about to take the lock or to release it, and may want
    the lock too.  So the flag and the owner change together, in one line or with no call between; who is handed the lock is
    its owner from the hand-over on; and who releases it does all that calls for before that.
    """

    __slots__ = ("_mutex_count", "_mutex_owner")

    def __init__(self) -> None:
        self._mutex_held = False
        self._waiters = NOBODY
        self._mutex_owner = 0
        self._mutex_count = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if blocking is not True and blocking is not False:
            blocking = _is_asked(blocking)
        if timeout == -1 and blocking:
            return RLock.__enter__(self)  # not a subclass's, which may call this
        if timeout != -1 or not blocking:
            timeout = _checked(blocking, timeout)
        me = owner_token()
        if self._mutex_owner == me:
            self._mutex_count += 1
            return True
        LEFT[0] = left = LEFT[0] - OPERATION
        if left < 0:
            spent(True)
        return self._take(me) or (blocking and self._wait(_real.monotonic() + timeout, me))

    def __enter__(self) -> bool:
        try:
            me = getcurrent()._dhagapatch_token
        except (AttributeError, RuntimeError):
            me = owner_token()
        if self._mutex_owner == me:
            self._mutex_count += 1
            return True
        LEFT[0] = left = LEFT[0] - OPERATION
        if left < 0:
            spent(True)
        held, self._mutex_held = self._mutex_held, True
        if held:
            return self._wait(None, me)
        self._mutex_owner = me
        self._mutex_count = 1
        return True

    def __exit__(self, kind: object = _NO, error: object = _NO, traceback: object = _NO, *rest: object) -> None:
        if LOCKS_ARE_STRICT and (traceback is _NO or rest):
            refuse_exit((kind, error, traceback, *rest))
        try:
            me = getcurrent()._dhagapatch_token
        except (AttributeError, RuntimeError):
            me = owner_token()
        if self._mutex_owner is not me and self._mutex_owner != me:  # most often it is the same object
            raise RuntimeError("cannot release un-acquired lock")
        count = self._mutex_count - 1
        if count:
            self._mutex_count = count
        elif self._waiters:
            self._free()
        else:
            self._mutex_owner, self._mutex_count, self._mutex_held = 0, 0, False
            if self._waiters:
                wake_one(self)

    def release(self) -> None:
        RLock.__exit__(self, None, None, None)

    def _take(self, me: int = 0) -> bool:
        held, self._mutex_held = self._mutex_held, True
        if held:
            return False
        self._mutex_owner = me
        self._mutex_count = 1
        return True

    def _free(self) -> None:
        """Release it, however often it was acquired."""
        parker = self._waiters.choose() if self._waiters else None
        if parker is not None and parker.urgent:
            self._mutex_owner, self._mutex_count, parker.granted = parker.owner, 1, True
        else:
            self._mutex_owner, self._mutex_count, self._mutex_held = 0, 0, False
        if parker is not None:
            parker.wake()
        elif self._waiters:
            wake_one(self)

    # what threading.Condition uses

    def _is_owned(self) -> bool:
        return self._mutex_owner == owner_token()

    def _release_save(self) -> tuple[int, int]:
        if self._mutex_count == 0:
            raise RuntimeError("cannot release un-acquired lock")
        state = (self._mutex_count, self._mutex_owner)
        self._free()
        return state

    def _acquire_restore(self, state: tuple[int, int]) -> None:
        failure: BaseException | None = None
        me = owner_token()
        while True:
            # HAZARD: as natively, whoever waited in a condition holds the lock again before it may raise
            try:
                self._restore(me)
                break
            except BaseException as error:
                failure = failure or error
        self._mutex_count, self._mutex_owner = state
        if failure is not None:
            raise failure

    def _recursion_count(self) -> int:
        return self._mutex_count if self._mutex_owner == owner_token() else 0

    def _at_fork_reinit(self) -> None:
        super()._at_fork_reinit()
        self._mutex_owner = self._mutex_count = 0

    def __repr__(self) -> str:
        state = "locked" if self._mutex_count else "unlocked"
        name = f"{type(self).__module__}.{type(self).__qualname__}"
        return f"<{state} {name} object owner={self._mutex_owner} count={self._mutex_count} at {id(self):#x}>"
