"""`explore`: run a threaded function many times, each time in another order, and replay the order in which it fails.

Each run has an OS thread, a hub and a clock of its own.  Its dhagas take turns as a seeded strategy says: they are interrupted
before lines of the program's own code and before operations on locks, and a wait for time takes none.

HAZARD: a line is told by the trace function, in which the interpreter traces nothing; so it is left, by the interpreter's own
function for that, before the switch, and entered again after it.  Checked: 3.11.7, 3.12.1, 3.13.0.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType, FunctionType
from typing import Any, NamedTuple

from greenlet import getcurrent

from dhagapatch import _real
from dhagapatch._cpython import thread_of
from dhagapatch._errors import DhagaExit, DhagapatchError
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import budget
from dhagapatch.core.alarms import Alarm
from dhagapatch.core.dhaga import ROOTS
from dhagapatch.core.hub import THREAD, Hub, adopt_greenlet, all_hubs, hub_for_wait
from dhagapatch.core.interrupts import deliver_all, deliver_handlers
from dhagapatch.core.offload import start_helper
from dhagapatch.core.parker import make_parker
from dhagapatch.core.waits import cycles, program_frame, sleepers, tell_cycle
from dhagapatch.green.timeslice import holds_nothing
from dhagapatch.monkey.engine import engine
from dhagapatch.testing.interleaving import Interleaving, Scope, Step
from dhagapatch.testing.strategies import Strategy, make_strategy
from dhagapatch.testing.virtual import Clock, virtual_time

__all__ = ["Exploration", "ExploreError", "explore"]

_WAITS = 5.0  # seconds of real time without an event that a run waits for
_LOOK = 0.01  # seconds
_PATIENCE = 1000  # points in a row that one thread may have while others are ready
_ENDING = 2000  # points and wake-ups that the threads of a run which is over may have, to clean up
_COLLECT = 64  # runs
_RUN = threading.Thread.run.__code__
_BOOKKEEPING = {method.__code__ for method in vars(threading.Thread).values() if isinstance(method, FunctionType)} - {_RUN}
_tracing: Any = ctypes.pythonapi
for _name in ("PyThreadState_LeaveTracing", "PyThreadState_EnterTracing"):
    getattr(_tracing, _name).argtypes = (ctypes.c_void_p,)
    getattr(_tracing, _name).restype = None
_tracing.PyThreadState_Get.restype = ctypes.c_void_p


class ExploreError(DhagapatchError, AssertionError):
    """A run failed; the text has how, the token that replays it, and the interleaving.

    .. versionadded:: 0.1
    """

    def __init__(self, text: str, token: str, interleaving: tuple[Step, ...]) -> None:
        super().__init__(text)
        self.token = token
        self.interleaving = interleaving


class Exploration(NamedTuple):
    """What `explore` did without finding a failure.

    .. versionadded:: 0.1
    """

    runs: int
    points: int  # where a thread could have been interrupted, in the longest run
    interleaving: tuple[Step, ...]  # of the last run


class _RunQueue(deque[Any]):
    """The run queue of a hub that is told who comes next."""

    def __init__(self, run: _Run) -> None:
        super().__init__()
        self._run = run
        self.hub_greenlet: Any = None

    def popleft(self) -> Any:
        one = self._run.choose(self)
        self.remove(one)
        return one

    def __getitem__(self, index: Any) -> Any:
        if getcurrent() is not self.hub_greenlet:
            return None  # whoever parks looks here for the next, and then has the hub choose
        one = self._run.choose(self)
        self.remove(one)
        self.appendleft(one)
        return one


class _Hub(Hub):
    """The hub of one run."""

    def __init__(self, run: _Run) -> None:
        super().__init__()
        self.clock = run.clock
        self.ended = False
        self._run_of = run
        self.runq = self.netpoll.runq = _RunQueue(run)
        self.runq.hub_greenlet = self.greenlet
        self.netpoll.on_idle = run.on_idle

    def _run(self) -> None:
        self.level = 1
        while not self.ended:
            self.netpoll.loop_work = False
            self.netpoll.run(None)

    def end(self) -> None:
        """HAZARD: a greenlet whose OS thread has ended keeps what its frames hold for ever; so it comes to its end before."""
        self.ended = self.netpoll.loop_work = True
        self.greenlet.switch()

    def rest(self, deliver: Any = None) -> None:
        """An operation that came through at once."""
        frame = program_frame(sys._getframe(1))
        if frame is not None and self._run_of.is_of_interest(frame) and holds_nothing(frame):
            self._run_of.point()

    def preempt(self, me: Any) -> None:
        self.rest()

    def yield_(self, me: Any, deliver: Any = deliver_all) -> None:
        self._run_of.strategy.gave_way(me)
        super().yield_(me, deliver)

    def _carry(self, loop: Any, me: Any, seen: int) -> None:
        """The trace function stays: it is that of all."""
        self._switch_alone(loop, me, seen)


class _Run:
    """One run."""

    def __init__(self, function: Callable[[], object], strategy: Strategy, scope: Scope, most: int) -> None:
        self.function = function
        self.strategy = strategy
        self.clock = Clock()
        self.interleaving = Interleaving(scope)
        self.points = 0
        self.most = most
        self.failure: tuple[str, BaseException | None] | None = None
        self._hub: _Hub = None  # type: ignore[assignment]
        self._forced: Any = None
        self._last: Any = None
        self._in_a_row = 0
        self._looked = False
        self._waited = 0.0
        self._returned = self._over = self._ending = False
        self._killed: set[Any] = set()
        self._left = _ENDING
        self._trace, self._trace_line = self._trace_call, self._line  # the same objects each time

    # on the OS thread of the run

    def conduct(self) -> None:
        """All of it; called on a fresh OS thread."""
        self._hub = hub = _Hub(self)
        THREAD.hub = hub
        all_hubs().append(hub)
        adopt_greenlet()
        _real.settrace(self._trace)
        try:
            threading.Thread(target=self._main, name="main", daemon=False).start()
            self._wait_until_over()
            self._end()
        finally:
            _real.settrace(None)
            hub.end()
            all_hubs().remove(hub)
            THREAD.hub = None
            hub.close()
            # HAZARD: the collector does not look into a root greenlet, nor into one whose OS thread has ended
            hub.main.dhaga_hub = self._last = self._forced = None
            self._killed.clear()
            self.interleaving.close()
            del self.strategy

    def _main(self) -> None:
        try:
            self.function()
        except DhagaExit:
            raise
        except BaseException as error:
            self.fail(f"{type(error).__name__} in main: {error}", error)
        finally:
            self._returned = True

    def fail(self, text: str, error: BaseException | None = None) -> None:
        """The first failure counts, and ends the run."""
        if self.failure is None and not self._ending:
            self.failure = text, error
        self._stop()

    def _stop(self) -> None:
        self._over = True
        self._hub.wake(self._hub.main)

    def _wait_until_over(self) -> None:
        hub, me = self._hub, getcurrent()
        while not self._over:
            hub.park(me, None, "the end of the run", me.dhaga_parks)

    def _end(self) -> None:
        """Have those that are left clean up."""
        self._ending = True
        for dhaga in list(self._hub.dhagas):
            if dhaga.dead:
                continue
            _real.settrace(self._trace)
            self._over = False
            dhaga.kill()
            self._wait_until_over()

    # who is next

    def choose(self, ready: Sequence[Any]) -> Any:
        """The one in the run queue whose turn it is."""
        if sys.gettrace() is not self._trace:
            _real.settrace(self._trace)  # the end of a dhaga has taken it out
        self._looked = False
        waiting = list(ready.__iter__())
        main = self._hub.main
        if main in waiting:
            return main
        for one in waiting:
            if isinstance(one, Alarm):
                return one
        if self._ending:
            return waiting[0]
        if self._returned and not self._remaining():
            self._over = True
            main.dhaga_parked = False
            ready.append(main)  # type: ignore[attr-defined]
            return main
        forced, self._forced = self._forced, None
        return forced if forced in waiting else self.strategy.at_wait(waiting)

    def _remaining(self) -> bool:
        """Whether threads are left that the program would wait for at its end."""
        return any((thread := thread_of(one.ident)) is not None and not thread.daemon for one in list(self._hub.dhagas))

    def is_of_interest(self, frame: FrameType) -> bool:
        """Whether an operation on a lock, in this frame, is not one of those with which threads begin and end."""
        at: FrameType | None = frame
        while at is not None and at.f_code is not _RUN and not self.interleaving.is_wanted(at):
            if at.f_code in _BOOKKEEPING:
                return False
            at = at.f_back
        return True

    def point(self) -> None:
        """The current dhaga may be interrupted here."""
        me = getcurrent()
        hub = self._hub
        if me is hub.main or me is hub.greenlet:
            return
        if self._ending:
            if me not in self._killed:
                self._killed.add(me)
                raise DhagaExit
            return
        self.points += 1
        if self.points > self.most:
            self.fail(f"no end in sight after {self.most} points (max_points)")
        at = hub.deadlines.next_at()
        if at is not None and at <= self.clock.now:
            hub.netpoll.look()  # it reads the time in a loop, which makes it pass
        ready = [one for one in hub.runq if one is not hub.main and not isinstance(one, Alarm)]
        if not self._over:
            if not ready:
                return
            self._in_a_row = self._in_a_row + 1 if me is self._last else 0
            self._last = me
            if self._in_a_row < _PATIENCE:
                chosen = self.strategy.at_point(me, ready)
                if chosen is me:
                    return
            else:  # it may wait for one of the others
                self.strategy.gave_way(me)
                chosen = ready[0]
            self._forced = chosen
        Hub.yield_(hub, me, deliver_handlers)

    def on_idle(self, timeout: float | None) -> float | None:
        """The hub is about to poll: nobody can run, if it may wait."""
        hub = self._hub
        if timeout == 0.0:
            return 0.0
        if not self._looked:
            self._looked = True
            return 0.0
        if hub.offloaded or (hub.netpoll.awaits_events() and not hub.deadlines.any_live()):
            self._waited += _LOOK
            if self._waited < _WAITS:
                return _LOOK
        self._looked = False
        at = hub.deadlines.next_at()
        if at is not None and (self._left > 0 or not self._ending):
            self._left -= self._ending
            self.clock.advance(at)
        elif not self._ending and hub.dhagas and (not self._returned or self._remaining()):
            self.fail(self._tell_deadlock())
        else:
            self._stop()
        return 0.0

    def _tell_deadlock(self) -> str:
        lines = [
            f"  {self.interleaving.name_of(one.greenlet)} waits for {wait.text}"
            for one in sleepers(self._hub)
            if one.greenlet is not self._hub.main and (wait := one.wait) is not None
        ]
        rings = [f"  who wait for each other:\n  {tell_cycle(ring)}" for ring in cycles([self._hub])]
        return "\n".join(["deadlock: no thread can ever run again", *lines, *rings])

    # tracing

    def _trace_call(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._trace_line if self.interleaving.is_wanted(frame) else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            if holds_nothing(frame):
                state = _tracing.PyThreadState_Get()
                _tracing.PyThreadState_LeaveTracing(state)
                try:
                    self.point()
                finally:
                    _tracing.PyThreadState_EnterTracing(state)
            me = getcurrent()
            if not self._ending and me is not self._hub.greenlet and me is not self._hub.main:
                self.interleaving.add(me, frame)
        return self._trace_line


ROOTS.add(_Run._main.__code__)
_exploring = _real.allocate_lock()


@contextmanager
def _conditions(current: list[_Run]) -> Iterator[None]:
    """What is different in the process while it explores."""

    def failed(args: Any) -> None:
        run = current[0]
        if getattr(THREAD.hub, "_run_of", None) is not run:
            thread_hook(args)
        elif args.exc_type is not SystemExit and not issubclass(args.exc_type, DhagaExit):
            name = run.interleaving.name_of(getcurrent())
            run.fail(f"{args.exc_type.__name__} in {name}: {args.exc_value}", args.exc_value)

    def unraisable(args: Any) -> None:
        run = current[0]
        if getattr(THREAD.hub, "_run_of", None) is run and "in thread" in (args.err_msg or ""):
            run.fail(f"{args.exc_type.__name__} in a thread: {args.exc_value}", args.exc_value)
        else:
            unraisable_hook(args)

    thread_hook, threading.excepthook = threading.excepthook, failed
    unraisable_hook, sys.unraisablehook = sys.unraisablehook, unraisable
    units = budget.set_units(0)
    collects = gc.isenabled()
    gc.disable()
    try:
        with virtual_time():
            yield
    finally:
        if collects:
            gc.enable()
        budget.set_units(units)
        threading.excepthook, sys.unraisablehook = thread_hook, unraisable_hook


def explore(
    function: Callable[[], object], *, seed: int = 0, runs: int = 1000, replay: str | None = None,
    modules: Sequence[str] = (), max_points: int = 20_000,
) -> Exploration:  # fmt: skip
    """Call `function` up to `runs` times, its threads interleaved in another way each time; ExploreError when a call fails.

    A call fails if it raises, if one of its threads does, if no thread can ever run again, or if it has not come to its end
    after `max_points` points.  The error's text has the interleaving, line by line, and a token: ``explore(function,
    replay=token)`` has the same run again.  Threads are interrupted before the lines of the program's own code, not of
    the standard library and of installed packages, except those in `modules` ("package", "package.module"); and before
    operations on locks, conditions and queues.  Time is virtual: `time.sleep` and timeouts take none, and the
    clocks of `time` tell what they would have.

    The function should make all that it uses, and be deterministic apart from the order of its threads.  The interpreter must be
    patched; DhagapatchError if it is not, or for a bad argument, RuntimeError if another exploration is under way.

    .. versionadded:: 0.1
    """
    if "thread" not in engine.groups or "time" not in engine.groups:
        raise DhagapatchError("explore() runs threads as dhagas: call dhagapatch.patch_all() first")
    numbers, points = list(range(runs)), 1
    if replay is not None:
        try:
            seed, number, points = map(int, replay.split(":"))
        except (AttributeError, ValueError):
            raise DhagapatchError(f"replay={replay!r}: the token of an ExploreError is needed, such as '0:17:52'") from None
        numbers = [number]
    if not numbers:
        raise DhagapatchError(f"runs={runs!r}: at least one run is needed")
    hub = hub_for_wait()
    if hub is not None:
        hub.yield_(getcurrent())  # it has taken the real clock by then
    if not _exploring.acquire(False):
        raise RuntimeError("another exploration is under way in this process")
    try:
        return _explore(function, numbers, seed, points, Scope(modules), max_points, replay is not None)
    finally:
        _exploring.release()


def _explore(
    function: Callable[[], object], numbers: list[int], seed: int, points: int, scope: Scope, most: int, replays: bool
) -> Exploration:
    current: list[_Run] = [None]  # type: ignore[list-item]
    with _conditions(current):
        for number in numbers:
            run = current[0] = _Run(function, make_strategy(seed, number, points), scope, most)
            _conduct(run)
            if run.failure is not None:
                break
            if not replays:
                points = max(points, run.points)
            if number % _COLLECT == 0:
                gc.collect()
    interleaving = run.interleaving.steps()
    if run.failure is None:
        return Exploration(len(numbers), points, interleaving)
    text, error = run.failure
    token = f"{seed}:{number}:{points}"
    shown = run.interleaving.tell()
    raise ExploreError(
        f"{text}\n\nin run {number} of seed {seed}; explore(..., replay={token!r}) has it again.  The interleaving:\n{shown}",
        token, interleaving,
    ) from error  # fmt: skip


def _conduct(run: _Run) -> None:
    """Have the run on an OS thread of its own, and wait for its end."""
    parker = make_parker()
    failure: list[BaseException] = []

    def conduct() -> None:
        try:
            run.conduct()
        except BaseException as error:
            failure.append(error)
        parker.wake()

    hub = hub_for_wait()
    if hub is not None:
        hub.offloaded += 1  # nothing of it is waited for in vain
    start_helper(conduct)
    interrupt: BaseException | None = None
    while not parker.woken:
        try:
            parker.park(None, "a run of an exploration")
        except BaseException as error:  # KeyboardInterrupt: when the run is over
            interrupt = error
    if hub is not None:
        hub.offloaded -= 1
    if interrupt is not None:
        raise interrupt
    if failure:
        raise failure[0]
