"""Pools of native threads for what can only block: name look-ups, contended file locks, opening a FIFO.

The workers are made from the real primitives, on the real `_thread`; in them every patched call behaves natively.
A worker that idles for long ends.  After a fork the child starts with empty pools.

Who wakes the caller: the worker, when the call is over.  Who takes it off if it leaves before that (a signal handler raised,
a kill, a `Timeout`): a call that has not begun never does; one that has begun is told by its `leave`, if it has one
(`core.endable`), which ends it or gives back what it got; any other runs to its end, and its result is dropped.

An `OwnThread` is for an object that must stay on one native thread: whatever is called through it runs on one and the same.
"""

from __future__ import annotations

import contextvars
import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from dhagapatch import _real
from dhagapatch._config import SETTINGS
from dhagapatch._cpython import forget_dummy_thread
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.deadlock import quiet_exceptions
from dhagapatch.core.extension import speedups
from dhagapatch.core.hub import Hub, hub_for_wait
from dhagapatch.core.parker import Parker, make_parker

__all__ = [
    "CORES", "ON_NATIVE_THREAD", "POOLS", "Endable", "OwnThread", "Pool", "compute", "figures", "forget_native_threads",
    "is_own_native_thread", "look_up", "offload", "offload_endable", "offload_wait", "other_native_threads", "own_native_threads",
    "pool", "start_helper",
]  # fmt: skip

T = TypeVar("T")
ON_NATIVE_THREAD = "() on a native thread"  # how reports tell a wait for an offloaded call, after the function's name


class Endable:
    """A call that can be ended while a native thread is in it."""

    __slots__ = ()

    name: str  # for reports

    def run(self) -> Any:
        """Call it, on the native thread."""
        raise NotImplementedError

    def leave(self) -> None:
        """Its caller, interrupted, does not wait for it any more."""
        raise NotImplementedError


class _Job:
    __slots__ = ("call", "error", "mask", "parker", "result")

    def __init__(self, call: Callable[[], Any], parker: Parker) -> None:
        self.call: Callable[[], Any] | None = call
        self.parker = parker
        self.result: Any = None
        self.error: BaseException | None = None
        self.mask = _real.pthread_sigmask(signal.SIG_BLOCK, ())  # the caller's


class _Worker:
    __slots__ = ("job", "lock")

    def __init__(self, job: _Job) -> None:
        self.lock = _real.allocate_lock()
        self.lock.acquire()
        self.job: _Job | None = job


_ALL_SIGNALS = signal.valid_signals()
_idents: set[int] = set()  # of those that run
_starting: set[object] = set()  # what has been started, and does not run yet
_left_behind = 0  # of a forked child's parents: the runtime's own that ran there


def _start(function: Callable[..., object], *args: Any) -> None:
    """A native thread in which every signal is blocked from its first moment on."""
    mask = _real.pthread_sigmask(signal.SIG_BLOCK, _ALL_SIGNALS)
    sign = object()
    _starting.add(sign)
    try:
        _real.start_new_thread(_be_own, (sign, function, args))
    except BaseException:
        _starting.discard(sign)
        raise
    finally:
        _real.pthread_sigmask(signal.SIG_SETMASK, mask)


def _be_own(sign: object, function: Callable[..., object], args: tuple[Any, ...]) -> None:
    ident = _real.get_ident()
    _idents.add(ident)
    _starting.discard(sign)
    try:
        function(*args)
    finally:
        _idents.discard(ident)  # while nobody else can have it


def is_own_native_thread(ident: int | None) -> bool:
    """Whether the native thread with this identity is one of the runtime's: of the pool, or a helper."""
    return ident in _idents


class Pool:
    """At most `most` native threads, started when there is no idle one; further calls queue.

    An idle one ends after `idle` seconds; -1: never.
    """

    def __init__(self, most: int, idle: float) -> None:
        self._most = most
        self._idle_seconds = idle
        self.reset()

    def reset(self) -> None:
        """Forget all workers: after a fork there are none."""
        self._lock = _real.allocate_lock()
        self._idle: list[_Worker] = []
        self._jobs: deque[_Job] = deque()
        self._calling: set[_Worker] = set()
        self.threads = 0

    def submit(self, job: _Job) -> None:
        """Run `job` on a worker; RuntimeError if there is none, and none can be started."""
        with self._lock:
            try:
                worker = self._idle.pop()  # HAZARD: `_SinglePool.end` may do so without the lock
                worker.job = job
                worker.lock.release()
                return
            except IndexError:
                pass
            if not self._has_room():
                self._jobs.append(job)
                self._queued()
                return
            self.threads += 1
            _pools.add(self)
        self._hire(job)

    def _has_room(self) -> bool:
        """Whether another thread may be started."""
        return self.threads < self._most

    def _queued(self) -> None:
        """A call stands in the queue."""

    def _hire(self, job: _Job) -> None:
        """Start a thread, which is counted already, for this call."""
        try:
            _start(self._work, _Worker(job))
        except BaseException:
            with self._lock:
                self.threads -= 1
                if self.threads and self._most < sys.maxsize:  # those that there are do it in their turn
                    self._jobs.appendleft(job)
                    return
            raise

    def end_idle(self) -> int:
        """Have those that idle end; how many others there are that are not in a call: they will idle soon."""
        with self._lock:
            workers, self._idle = self._idle, []
            self.threads -= len(workers)
            others = self.threads - len(self._calling)
        for worker in workers:
            worker.lock.release()
        return others

    def figures(self) -> tuple[int, int, int]:
        """How many threads it has, how many of them idle, and how many calls queue."""
        return self.threads, len(self._idle), len(self._jobs)

    def _work(self, worker: _Worker) -> None:
        while True:
            job = worker.job
            assert job is not None
            worker.job = None
            call = job.call
            if call is not None:
                self._calling.add(worker)
                self._call(job, call)
                self._calling.discard(worker)
                job.call = call = None
                forget_dummy_thread(_real.get_ident())  # if it asked `threading` who it is: the program has no such thread
            job.parker.wake()
            del job
            if not self._next(worker):
                return

    def _call(self, job: _Job, call: Callable[[], Any]) -> None:
        # HAZARD: a signal that the program has blocked must not find a thread of ours that takes it; and a child
        # that the call starts must get the caller's mask
        _real.pthread_sigmask(signal.SIG_SETMASK, job.mask)
        try:
            job.result = call()
        except BaseException as error:
            job.error = error
        _real.pthread_sigmask(signal.SIG_BLOCK, _ALL_SIGNALS)

    def _next(self, worker: _Worker) -> bool:
        with self._lock:
            if self._jobs:
                worker.job = self._jobs.popleft()
                return True
            self._idle.append(worker)
        if worker.lock.acquire(True, self._idle_seconds):
            return worker.job is not None
        with self._lock:
            if worker in self._idle:
                self._idle.remove(worker)
                self.threads -= 1
                return False
        worker.lock.acquire()  # in this instant it was given a job, or told to end
        return worker.job is not None


class _GrowingPool(Pool):
    """At most `most` native threads, not counting those whose call has run for longer than `patience` seconds.

    So calls that answer at once do not stand behind those that don't.  Who looks: a helper, while calls queue.
    """

    def __init__(self, most: int, idle: float, patience: float) -> None:
        self._patience = patience
        super().__init__(most, idle)

    def reset(self) -> None:
        super().reset()
        self._began: dict[int, float] = {}  # what runs, by its thread's identity: since when
        self._is_watched = False

    def _call(self, job: _Job, call: Callable[[], Any]) -> None:
        ident = _real.get_ident()
        self._began[ident] = _real.monotonic()
        try:
            super()._call(job, call)
        finally:
            del self._began[ident]

    def _queued(self) -> None:
        if self._is_watched:
            return
        self._is_watched = True
        try:
            start_helper(self._watch)
        except RuntimeError:
            self._is_watched = False  # those that there are do it in their turn

    def _watch(self) -> None:
        while True:
            _real.sleep(self._patience)
            with self._lock:
                if not self._jobs:
                    self._is_watched = False
                    return
                before = _real.monotonic() - self._patience
                stuck = sum(began < before for began in list(self._began.values()))
                jobs = [self._jobs.popleft() for _ in range(min(len(self._jobs), self._most + stuck - self.threads))]
                self.threads += len(jobs)
            try:
                while jobs:
                    self._hire(jobs.pop(0))
            except RuntimeError:
                pass  # no thread can be had: those that there are do it in their turn
            finally:
                if jobs:
                    with self._lock:
                        self._jobs.extendleft(reversed(jobs))
                        self.threads -= len(jobs)


class _SinglePool(Pool):
    """One native thread, always the same, that ends when it is told to and has nothing left to do."""

    def __init__(self) -> None:
        self._ends = False
        super().__init__(1, -1)

    def reset(self) -> None:
        super().reset()
        self.ident = 0  # of the thread

    def _work(self, worker: _Worker) -> None:
        self.ident = _real.get_ident()
        super()._work(worker)

    def _next(self, worker: _Worker) -> bool:
        while True:
            with self._lock:
                if worker.job is not None:
                    return True
                if self._jobs:
                    worker.job = self._jobs.popleft()
                    return True
                self._idle.append(worker)
                if self._ends:  # looked at after that, and set before `end` looks for an idle one: one of the two sees the other
                    self._idle.clear()
                    self._ends = False  # a later call starts another thread
                    self.threads = self.ident = 0
                    _pools.discard(self)
                    return False
            worker.lock.acquire()

    def end(self) -> None:
        """HAZARD: also from a finalizer, on whatever thread, in whatever it does: so without the lock."""
        if not self.threads:
            return
        self._ends = True
        try:
            worker = self._idle.pop()
        except IndexError:
            return  # it works, and looks when it has done
        worker.lock.release()


class OwnThread:
    """A native thread for an object that must stay on one: started by the first call, ended by `end`, or when this is dropped.

    Calls run one after the other, in the order in which they came.
    """

    __slots__ = ("_pool", "busy", "left")

    def __init__(self) -> None:
        self._pool = _SinglePool()
        self.busy = False  # for who uses it
        self.left: deque[Any] = deque()  # likewise: what is to be dropped there

    def call(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Call `function` there and wait; other dhagas run.  What it calls itself runs there too, at once."""
        if self._pool.ident == _real.get_ident() or sys.is_finalizing():
            return function(*args, **kwargs)  # in the interpreter's last moments no other thread gets it any more
        return _run(self._pool, hub_for_wait(), function, args, kwargs)

    def call_endable(self, ends: Endable) -> Any:
        """As `call`, for a call that is ended if its caller is interrupted."""
        if self._pool.ident == _real.get_ident() or sys.is_finalizing():
            return ends.run()
        return _run(self._pool, hub_for_wait(), ends.run, (), {}, ends)

    def is_here(self) -> bool:
        """Whether it is the thread that asks."""
        return self._pool.ident == _real.get_ident()

    def end(self) -> None:
        """The thread ends when it has done what it was given; a later call starts another one."""
        self._pool.end()

    __del__ = end


_pools: set[Pool] = set()  # those that have threads
pool = Pool(SETTINGS.offload_threads, SETTINGS.offload_idle)
_PATIENCE = 0.02  # seconds
_look_ups = _GrowingPool(SETTINGS.offload_threads, SETTINGS.offload_idle, _PATIENCE)
# HAZARD: what waits for something that the program itself must do (a file lock, the other end of a FIFO, a child) has as many
# threads as it needs: with a limit, the call that would end the others' waits could stand in the queue behind them
_waiting_pool = Pool(sys.maxsize, SETTINGS.offload_idle)


# what needs a core for itself gains nothing by more threads than cores
CORES: int = getattr(os, "process_cpu_count", os.cpu_count)() or 1
if hasattr(os, "sched_getaffinity"):
    CORES = min(CORES, len(os.sched_getaffinity(0)))
_computing = Pool(CORES, SETTINGS.offload_idle)
POOLS = (pool, _look_ups, _waiting_pool, _computing)


def start_helper(function: Callable[[], object]) -> None:
    """Run `function` on a native thread that belongs to the runtime: the program is never shown it."""
    _start(function)


def own_native_threads() -> int:
    """How many native threads are the runtime's own, the pool's and the helpers, those included that were just started."""
    return len(_idents) + len(_starting)


def other_native_threads() -> int:
    """How many native threads there are, the main one aside, that are not the runtime's own.

    HAZARD: each thread counts itself in both, in one go, while it has the interpreter: one that was just started, or is about to
    end, is in neither.  In a forked child the interpreter goes on counting those of its parent, which are there no more.
    """
    return int(_real.thread_count()) - len(_idents) - _left_behind


# a native thread of the program's own may wake anybody, so nothing is a deadlock while there is one
quiet_exceptions.append(lambda: other_native_threads() > 0)


def figures() -> dict[str, int]:
    """Threads, idle ones, and calls that queue, of all pools."""
    in_kernel = (0, 0, 0) if speedups is None else speedups.pool_figures()  # see `kernelcalls`
    threads, idle, queued = map(sum, zip(*(one.figures() for one in POOLS), in_kernel, strict=True))
    return {"threads": threads, "idle": idle, "queued": queued}


def forget_native_threads() -> None:
    """After a fork there are none."""
    if speedups is not None:
        speedups.pool_after_fork()
    global _left_behind
    _left_behind += len(_idents)
    _idents.clear()
    _starting.clear()
    for one in _pools:
        one.reset()
    _pools.clear()


def offload(function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Call `function` on a native thread while other dhagas run; its value or exception is handed on.

    Where the caller may not park (a native thread, the hub's own greenlet) it is called directly.
    Context variables are those of the caller.

    .. versionadded:: 0.1
    """
    return _offload(pool, function, args, kwargs)


def look_up(function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """As `offload`, for a call that asks some server: it does not stand behind those whose server is silent."""
    return _offload(_look_ups, function, args, kwargs)


def offload_wait(function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """As `offload`, for a call that may last until another dhaga has done something: it never stands in a queue."""
    return _offload(_waiting_pool, function, args, kwargs)


def compute(name: str, function: Callable[..., T], /, *args: Any) -> T:
    """As `offload`, for a call that keeps a core busy: there are as many threads as cores.  `name`: for reports."""
    return _run(_computing, hub_for_wait(), function, args, {}, name=name)


def offload_endable(ends: Endable) -> Any:
    """As `offload_wait`, for a call that is ended if its caller is interrupted."""
    return _run(_waiting_pool, hub_for_wait(), ends.run, (), {}, ends)


def _offload(threads: Pool, function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
    hub = hub_for_wait()
    if hub is None:
        return function(*args, **kwargs)
    return _run(threads, hub, function, args, kwargs)


def _run(
    threads: Pool, hub: Hub | None, function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any],
    ends: Endable | None = None, name: str | None = None,
) -> T:  # fmt: skip
    context = contextvars.copy_context()
    job = _Job(lambda: context.run(function, *args, **kwargs), make_parker())
    if name is None:
        name = getattr(function, "__name__", repr(function)) if ends is None else ends.name
    try:
        threads.submit(job)
    except RuntimeError:
        if threads is _waiting_pool or isinstance(threads, _SinglePool):
            raise
        return function(*args, **kwargs)  # no thread can be had: late is better than never
    if hub is not None:
        hub.offloaded += 1
    try:
        job.parker.park(None, name + ON_NATIVE_THREAD)
    except BaseException:
        job.call = None  # not begun yet: it need not
        if ends is not None:
            ends.leave()
        raise
    finally:
        if hub is not None:
            hub.offloaded -= 1
    if job.error is not None:
        try:
            raise job.error
        finally:
            job.error = None  # no cycle between the error's traceback and this frame
            del job
    return job.result
