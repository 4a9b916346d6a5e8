"""Objects made before the patch: each real lock, queue, `local`, handle, epoll is given a green counterpart in its state.

A lock's counterpart has the very native lock beneath it, so whoever could not be rebound, a native thread in the
middle of a `with` block say, still releases the same lock.  While such a one may exist the counterpart is `shared`: its
waiters look for themselves now and then, since nobody would wake them.
"""

from __future__ import annotations

import gc
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable
from types import BuiltinMethodType
from typing import Any

from greenlet import getcurrent

from dhagapatch import _real
from dhagapatch._cpython import LOCKS_ARE_STRICT
from dhagapatch._errors import Interruption
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import deadline_of, hub_for_wait, make_parker, other_native_threads, owner_token
from dhagapatch.core.interrupts import restore
from dhagapatch.core.sync import Mutex, refuse_exit
from dhagapatch.core.waitq import queue_of, wake_one
from dhagapatch.green import _thread as green_thread
from dhagapatch.green import select as green_select
from dhagapatch.green import threadlocal
from dhagapatch.green.waiting import sleep_until
from dhagapatch.green.wording import stand_for
from dhagapatch.monkey.frames import Frames, suspending_kinds
from dhagapatch.monkey.heap import objects_of
from dhagapatch.monkey.rebind import Holder, Undo, rebind
from dhagapatch.monkey.report import Adopted as AdoptedLine
from dhagapatch.monkey.report import Left, PatchReport

__all__ = ["Adopted", "AdoptedRLock", "AdoptedSimpleQueue", "adopt_objects", "native_threads"]

_STATE = re.compile(r"owner=(\d+) count=(\d+)")
_POLL = type(_real.poll()) if _real.poll is not None else None
_SEMAPHORES = "dhagapatch.green.multiprocessing"  # imported if the program has them
_LEAST, _MOST = 0.001, 0.02  # seconds: how often a lock that is held through the real object is looked at


def _real_state(lock: Any) -> tuple[int, int]:
    """Owner and count of a native RLock; its `repr` is the only place that tells both."""
    match = _STATE.search(repr(lock))
    assert match is not None
    return int(match[1]), int(match[2])


class AdoptedRLock(green_thread.RLock):
    """Stands for a native RLock that others may know: one that was held when it was adopted, or beside native threads.

    Its owner may still release it through the native object (a `with` block that is under way keeps the native `__exit__`), and
    goes on acquiring the native one.  All others take both: first the counterpart, by which dhagas exclude each other, then
    the native one, which a thread of the system owns.  Without native threads that is needed until the native one is free.
    """

    __slots__ = ("_both", "_counts", "_known", "_native")

    def __init__(self, native: Any, known: bool) -> None:
        self._native = native
        self._known = known  # whether native threads may know it
        self._counts = True  # whether the native one is still to be looked at
        self._both = 0  # which acquisition, of the counterpart's owner, has brought the native one; 0: none has

    def _is_natively_mine(self) -> bool:
        """Whether the caller has the native one alone."""
        return not self._both and self._native._is_owned() and owner_token() == _real.get_ident()

    def _take_native(self, level: int) -> bool:
        """For the owner of the counterpart, who has acquired that `level` times."""
        if self._both or not self._counts:
            return True
        # HAZARD: a dhaga must not come in as the thread that it runs in, for the main one may be the owner
        if self._native._is_owned() or not self._native.acquire(False):
            return False
        if self._known:
            self._both = level
        else:
            self._counts = False
            self._native.release()
        return True

    def _leave_native(self) -> None:
        if self._both:
            self._both = 0
            self._native.release()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if self._is_natively_mine():
            return bool(self._native.acquire(blocking, timeout))
        begun = _real.monotonic()
        if not super().acquire(blocking, timeout):
            return False
        deadline = None if timeout == -1 else begun + timeout
        pause = _LEAST
        try:
            # HAZARD: a handler or a finalizer may come here in between, and acquire it too: it waits for the native one likewise
            while not self._take_native(self._mutex_count):
                now = _real.monotonic()
                if not blocking or (deadline is not None and now >= deadline):
                    super().release()
                    return False
                sleep_until(now + pause if deadline is None else min(now + pause, deadline))
                pause = min(pause * 2, _MOST)
        except BaseException:
            super().release()
            raise
        return True

    __enter__ = acquire

    def __exit__(self, *exc_info: object) -> None:
        if LOCKS_ARE_STRICT and len(exc_info) != 3:
            refuse_exit(exc_info)
        self.release()

    def release(self) -> None:
        if self._is_natively_mine():
            self._native.release()
            return
        if self._both and self._both == self._mutex_count and super()._is_owned():
            self._leave_native()
        super().release()

    def _is_owned(self) -> bool:
        return self._is_natively_mine() or super()._is_owned()

    def _release_save(self) -> Any:
        """The native one's state as that gives it, or ours with a word before it."""
        if self._is_natively_mine():
            return self._native._release_save()
        self._leave_native()
        return ("counterpart", super()._release_save())

    def _acquire_restore(self, state: Any) -> None:
        # HAZARD: a native thread that waited in a condition when the patch came brings the native one's state
        natively = state[0] != "counterpart"
        kept: list[BaseException] = []
        failure: BaseException | None = None
        try:
            super()._acquire_restore((1, owner_token()) if natively else state[1])
        except BaseException as error:
            failure = error
        if natively:
            self._counts = True  # others may have found it free, and left it alone from then on
        pause = _LEAST
        # HAZARD: as natively, whoever waited in a condition holds the lock again before it may raise
        while not self._take_native(1):
            try:
                sleep_until(_real.monotonic() + pause)
            except Interruption as error:
                kept.append(error)
            except BaseException as error:
                failure = failure or error
            pause = min(pause * 2, _MOST)
        if natively:
            self._counts = True
            for _ in range(state[0] - self._both):
                self._native.acquire(False)
            self._both = 0
            super().release()
        if kept:
            restore(getcurrent(), kept)
        if failure is not None:
            raise failure

    def _at_fork_reinit(self) -> None:
        super()._at_fork_reinit()
        self._both = 0
        self._native._at_fork_reinit()

    def give_back(self) -> None:
        """Bring what the caller holds of it into the native one."""
        if super()._is_owned() and owner_token() == _real.get_ident():
            for _ in range(super()._recursion_count() - (1 if self._both else 0)):
                self._native.acquire(False)

    if hasattr(_real.RLock, "locked"):

        def locked(self) -> bool:
            return super().locked() or self._native.locked()

    def _recursion_count(self) -> int:
        return _real_state(self._native)[1] if self._is_natively_mine() else super()._recursion_count()

    def __repr__(self) -> str:
        if not self._both and _real_state(self._native)[1]:
            return repr(self._native)
        return super().__repr__()


stand_for(AdoptedRLock, _real.RLock)


def native_threads() -> int:
    """How many native threads there are besides this one and the runtime's own."""
    return other_native_threads()


def _joined(lock: Any) -> bool:
    """Whether C code releases it when a native thread ends (up to 3.12)."""
    return any(getattr(thread, "_tstate_lock", None) is lock for thread in threading.enumerate())


def _lock(real: Any) -> tuple[Any, str]:
    main = threading.main_thread()
    if real is vars(threading).get("_shutdown_locks_lock", "") and not real.locked() and not native_threads():
        return green_thread.allocate_lock(), "unlocked"  # known by this name alone; until 3.12 each start asks for it twice
    shared = native_threads() > 0 and getattr(main, "_tstate_lock", None) is not real
    green = green_thread.AdoptedLock(real, shared)
    if real.locked() and not shared and getattr(main, "_tstate_lock", None) is not real:
        green.look_until_free()  # who holds it may release the native one: a `with` block that is under way does
    return green, "locked" if real.locked() else "unlocked"


def _rlock(real: Any) -> tuple[Any, str]:
    owner, count = _real_state(real)
    known = native_threads() > 0
    if not count and not known:
        return green_thread.RLock(), "unlocked"
    return AdoptedRLock(real, known), f"locked {count} times by thread {owner}" if count else "unlocked"


class AdoptedSimpleQueue(green_thread.SimpleQueue):
    """Stands for a native queue that a native thread may know by another name: the items stay in the native one.

    So a native thread that waits in it gets what is put in here, and what it puts in is found here: a dhaga that
    waits looks for itself now and then, as nobody would wake it.
    """

    __slots__ = ("_native",)

    def __init__(self, native: Any) -> None:
        super().__init__()
        self._native = native

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        self._native.put(item)
        wake_one(self)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        if not block or (timeout is not None and not 0 <= timeout <= _real.TIMEOUT_MAX) or hub_for_wait() is None:
            return self._native.get(block, timeout)
        deadline = deadline_of(timeout)
        pause = _LEAST
        while True:
            try:
                return self._native.get(False)
            except _real.Empty:
                now = _real.monotonic()
                if deadline is not None and now >= deadline:
                    raise
            self._await_put(now + pause if deadline is None else min(now + pause, deadline))
            pause = min(pause * 2, _MOST)

    def _await_put(self, deadline: float) -> None:
        """Wait for a `put` or for `deadline`; a wake-up that came with something else goes to the next one."""
        parker = make_parker()
        waiters = queue_of(self)
        waiters.append(parker)
        try:
            if self._native.empty():
                parker.park(deadline, self)
        finally:
            if not waiters.leave(parker) and not self._native.empty():
                wake_one(self)

    def empty(self) -> bool:
        return bool(self._native.empty())

    def qsize(self) -> int:
        return int(self._native.qsize())


stand_for(AdoptedSimpleQueue, _real.SimpleQueue)


def _simple_queue(real: Any) -> tuple[Any, str]:
    state = f"{real.qsize()} items"
    if native_threads():
        return AdoptedSimpleQueue(real), state
    green = green_thread.SimpleQueue()
    while not real.empty():
        green.put(real.get_nowait())
    return green, state


def _local(real: Any) -> tuple[Any, str]:
    return threadlocal.adopt_local(real), f"{len(vars(real))} attributes"


def _epoll(real: Any) -> tuple[Any, str]:
    green = green_select.epoll.__new__(green_select.epoll)
    green._epoll = real
    return green, "closed" if real.closed else f"descriptor {real.fileno()}"


def _poll(real: Any) -> tuple[Any, str]:
    return green_select.poll._over(real, None), "its descriptors are not known: it is asked now and then"


def _handle(real: Any) -> tuple[Any, str]:
    return green_thread.ThreadHandle.over(real), f"thread {real.ident}"


def _semaphore(real: Any) -> tuple[Any, str]:
    return sys.modules[_SEMAPHORES].AdoptedSemLock(real), "taken" if real._is_zero() else "free"


def _makers(groups: frozenset[str]) -> dict[type, tuple[str, Callable[[Any], tuple[Any, str]]]]:
    makers: dict[type, tuple[str, Callable[[Any], tuple[Any, str]]]] = {}
    if "thread" in groups:
        makers[_real.LockType] = ("lock", _lock)
        makers[_real.RLock] = ("RLock", _rlock)
        makers[_real.SimpleQueue] = ("SimpleQueue", _simple_queue)
        makers[_real.local] = ("local", _local)
        if _real.ThreadHandle is not None:
            makers[_real.ThreadHandle] = ("thread handle", _handle)
    if "multiprocessing" in groups and _SEMAPHORES in sys.modules:
        makers[sys.modules[_SEMAPHORES].native] = ("semaphore", _semaphore)
    if "select" in groups:
        if _real.epoll is not None:
            makers[_real.epoll] = ("epoll", _epoll)
        if _POLL is not None:
            makers[_POLL] = ("poll", _poll)
    return makers


def _is_private(thing: Any) -> bool:
    """Whether only the runtime itself holds it."""
    return isinstance(thing, (Mutex, green_thread.ThreadHandle)) or type(thing).__module__.startswith("dhagapatch")


def _candidates(makers: dict[type, Any]) -> tuple[list[Any], Frames]:
    """The objects that are to be adopted, their methods, and all frames.

    Poll objects and semaphores (until 3.12) are not known to the collector, but who refers to them; or it may be a variable.
    """
    kinds = suspending_kinds()
    found = objects_of({BuiltinMethodType, *makers, *kinds})
    frames = Frames([thing for thing in found if type(thing) in kinds])
    untracked = makers.keys() - {_real.LockType, _real.RLock, _real.SimpleQueue, _real.local, _real.ThreadHandle}
    adopted = {id(thing): thing for thing in found if type(thing) not in kinds}
    adopted.update({id(thing): thing for thing in frames.values(untracked)})
    return [*adopted.values()], frames


class Adopted:
    """What `adopt_objects` did."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Any, Any]] = []  # (native, green), of the objects and of their methods
        self.states: dict[int, tuple[str, str]] = {}  # of the objects, by their ids: what kind, and how it was
        self.holders: list[Holder] = []
        self.frames: Frames

    def held(self) -> dict[int, int]:
        """How many holders each has, by id."""
        return Counter(holder.target for holder in self.holders)

    def tell(self, report: PatchReport) -> None:
        """Enter it into the report."""
        counts = self.held()
        for holder in self.holders:
            if not holder.done and holder.target in self.states:
                what = f"a {self.states[holder.target][0]} made before the patch"
                why = "its holder can't be changed"
                report.left.append(Left(what, holder.module, holder.name, holder.file, holder.line, why))
        for ident, (kind, state) in self.states.items():
            if ident in counts:
                report.adopted.append(AdoptedLine(kind, state, counts[ident]))

    def bookkeeping(self) -> list[Any]:
        """What of ours has the native objects, and their methods, which are holders."""
        holding = [green for _, green in self.pairs]
        holding += [method for method, _ in self.pairs if type(method) is BuiltinMethodType]
        inner = {id(one): one for one in gc.get_referents(*holding)}
        data = [one.native for one in inner.values() if isinstance(one, threadlocal.Locals)]
        undos = [holder.undo.args for holder in self.holders if isinstance(holder.undo, Undo)]
        return [*self.pairs, *holding, *data, *undos]


def _counterparts(groups: frozenset[str], done: Adopted, report: PatchReport) -> list[Any]:
    """Make a green object for each native one; those of their methods that somebody holds."""
    makers = _makers(groups)
    failed: list[tuple[Any, str, str]] = []
    methods: list[Any] = []
    found, done.frames = _candidates(makers)
    while found:
        thing = found.pop()
        kind = type(thing)
        if kind is BuiltinMethodType and type(thing.__self__) in makers:
            methods.append(thing)
        maker = makers.get(kind)
        if maker is None:
            continue
        try:
            green, state = maker[1](thing)
        except ValueError as error:
            failed.append((thing, maker[0], str(error)))
            continue
        done.pairs.append((thing, green))
        done.states[id(thing)] = (maker[0], state)
    for thing, kind_name, why in failed:
        for holder in rebind([(thing, thing)], private=[failed, *failed]):
            what = f"a {kind_name} made before the patch"
            report.left.append(Left(what, holder.module, holder.name, holder.file, holder.line, why))
    return methods


def adopt_objects(groups: frozenset[str], report: PatchReport) -> Adopted:
    """Adopt what was made before the patch."""
    done = Adopted()
    methods = _counterparts(groups, done, report)
    green_of = {id(old): new for old, new in done.pairs}
    for method in methods:
        green = green_of.get(id(method.__self__))
        if green is not None and hasattr(green, method.__name__):
            done.pairs.append((method, getattr(green, method.__name__)))
    if done.pairs:
        done.holders = done.frames.rebind(done.pairs)
        done.holders += rebind(done.pairs, private=[methods, done.pairs, *done.pairs])
    done.tell(report)
    return done
