"""The hub: the greenlet in which a Tornado loop runs, and what belongs to one OS thread that runs dhagas.

The program's main flow is the OS thread's root greenlet; it is the main dhaga.  The hub is a greenlet of its
own, made at the first wait.  Whoever must wait switches to the hub; the hub's loop sits in `Netpoll.select`,
whose turns resume whoever is ready.  This module alone switches between greenlets.

Every greenlet that waits carries a few attributes, the slots of `Dhaga`; a greenlet that is not ours (the root,
or one made by a library) gets them on its first wait.  ``dhaga_hub`` is None in a greenlet that must not park: the
hub's own, and the root greenlet of an OS thread that has no hub.  There every patched call behaves natively.

A wake is a hint: whoever parks must look again, because a wake may be spurious, or may be one that was
meant for an earlier wait.

State that the interpreter keeps for an OS thread and greenlet does not carry (a table stands in docs/reference/thread-state.md):

* the running asyncio loop: cleared round every park and put back (a dhaga may run a loop of its own), and
  cleared while the hub runs dhagas, so that they do not take the hub's loop for theirs;
* async-generator hooks, and the depth to which the origin of coroutines is tracked: likewise (`threadstate`);
* the dictionary of the thread's state: each dhaga has its own, if the compiled part is there (`threadstate`);
* trace and profile functions: they go with the dhaga that has one.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from greenlet import getcurrent, greenlet

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import monitored, profiles, running, threadstate, tools
from dhagapatch.core.budget import LEFT as _LEFT
from dhagapatch.core.budget import TURN as _TURN
from dhagapatch.core.deadlock import is_dead
from dhagapatch.core.interrupts import deliver_all, deliver_handlers
from dhagapatch.core.netpoll import Netpoll
from dhagapatch.core.own import close_own
from dhagapatch.core.running import MODULES, SOURCE, THREAD, enter_loop, leave_loop, running_loop, set_all_running_loops
from dhagapatch.core.wakeup import make_poller_and_wakeup

if TYPE_CHECKING:
    import asyncio

    from tornado.ioloop import IOLoop

    from dhagapatch.core.dhaga import Dhaga
    from dhagapatch.core.host import Host
    from dhagapatch.core.loop import HubLoop

__all__ = [
    "ABANDONED", "BEYOND", "FORKERS", "THREAD", "Hub", "HubGreenlet", "adopt_greenlet", "all_hubs", "current_hub", "get_hub",
    "hub_for_wait", "in_main_thread", "main_hub", "on_new_hub", "parking_hub", "set_main_thread",
]  # fmt: skip

_getprofile = sys.getprofile
BEYOND = -16  # how far those who wait for each other may go on beyond what was ready when the turn began: a poll is 1 us
_MAIN_IDENT = threading.main_thread().ident  # the native thread that gets a hub by itself


_hubs: list[Hub] = []  # all live hubs, for what must reach each of them
ABANDONED: list[object] = []  # HAZARD: a parent's dhagas in a forked child: never unwound, so never dropped
FORKERS: set[greenlet] = set()  # HAZARD: whom those let run, who fork, would go on in the child too (`core.fork`)
_new_hub_callbacks: list[Callable[[Hub], None]] = []


class HubGreenlet(greenlet):
    """A greenlet in which nothing may park."""

    dhaga_hub = None


class Hub:
    """The scheduler of one OS thread.

    .. versionadded:: 0.1
    """

    __slots__ = ("__dict__", "__weakref__", "_left", "_notified", "_outside", "abandoned", "carries", "counted", "deadlines",
                 "entries", "greenlet", "netpoll", "runq", "waker")  # fmt: skip
    # `_outside`, of the compiled part: the OS thread's own dictionary of its state, while a dhaga's is in its place
    always_carries: ClassVar[bool] = False  # what is no business of the compiled part
    on_dead: ClassVar[Callable[[Hub], BaseException]]  # what its main dhaga gets when nothing can ever run again

    def __init__(self) -> None:
        self.main = getcurrent()
        while self.main.parent is not None and not hasattr(self.main, "is_dhaga"):
            self.main = self.main.parent
        # where signal handlers, KeyboardInterrupt and DeadlockError go
        self.ident = self.waker = _real.get_ident()  # `waker`: the OS thread whose wakes need no notification
        self.pid = os.getpid()
        self.abandoned = False  # the parent's, in a forked child; or its OS thread has ended
        self.dhagas: dict[Dhaga, None] = {}  # alive: they run on even if nobody else holds them (a set takes more memory)
        self.offloaded = self.waits_for_signal = 0  # calls under way on native threads; waits of the program's for a signal
        self.spare: list[Dhaga] = []  # whose threads have ended, for new ones
        self.inbox: deque[greenlet] = deque()  # woken from other OS threads
        self.buried = 0  # how many waits inside of callbacks run turns just now
        self._notified = self.counted = False  # `counted`: by `inspect.counts`
        self.carries = self.always_carries or threadstate.has_hooks()  # whether who runs may have something for `_carry`
        self._hooks: Any = None
        self._task: Any = None  # the loop's
        self.level = self._left = 0  # `_left`: how many of the run queue this turn is still to resume
        poller, self._wakeup = make_poller_and_wakeup(ahead=self.ident == _MAIN_IDENT)
        self.netpoll = Netpoll(poller, self._turn)
        self.netpoll.on_enter = self.enter
        self.netpoll.on_leave = self.leave
        self.netpoll.on_quiet = self._quiet
        self.netpoll.on_wakeup = self._woken
        self.entries = self.netpoll.entries
        self.deadlines = self.netpoll.deadlines
        self.runq = self.netpoll.runq
        self.netpoll.set_wakeup(self._wakeup.reader)
        self._loops: tuple[HubLoop, IOLoop] | None = None
        self._loops_lock = _real.RLock()
        self._told: BaseException | None = None  # what left the loop last, and went to the main dhaga
        self.host: Host | None = None  # the loop of another kind that gives this hub its time
        self.greenlet = HubGreenlet(self._run, running.thread_root())

    # the loop

    @property
    def asyncio_loop(self) -> asyncio.AbstractEventLoop:
        """The asyncio loop of this hub, or the one that hosts it; from any OS thread."""
        if self.host is not None:
            return self.host.loop
        return (self._loops or self._make_loops())[0]

    def runs_beside(self, loop: object) -> bool:
        """Whether `loop` is this hub's own, or hosts it."""
        return (self.host is not None and loop is self.host.loop) or (self._loops is not None and loop is self._loops[0])

    @property
    def ioloop(self) -> IOLoop:
        """The Tornado loop of this hub; from any OS thread."""
        return (self._loops or self._make_loops())[1]

    def _make_loops(self) -> tuple[HubLoop, IOLoop]:
        """Made when they are asked for: a program that never does never pays for asyncio and Tornado."""
        # HAZARD: not under the lock: other dhagas run while one imports, and may ask too
        from dhagapatch.core.loop import make_loops

        with self._loops_lock:
            if self._loops is None:
                self._loops = make_loops(self.netpoll)
                self.netpoll.loop_work = True  # ends `_run_alone`
                self.notify()
        return self._loops

    # parking

    def park(self, me: greenlet, deadline: float | None, what: object, seen: int) -> bool:
        """Let the others run until `me` is woken (True) or `deadline` is over (False).

        `me` must be the current greenlet, of this hub.  Who parks must have left itself where a waker finds
        it, and must take itself off there when this returns or raises.  `seen` is what `me.dhaga_parks` was before that.
        """
        if me.dhaga_interrupts is not None:  # due since it ran: killed before its first wait, or by itself
            deliver_all(me)
            return True
        me.dhaga_deadline = deadline  # also none: who waits inside of a finalizer has not the deadline of the wait outside
        if deadline is not None:
            at = me.dhaga_timer_at
            if at is None or deadline < at:
                self.deadlines.arm(me, deadline)
        me.dhaga_waiting = what
        me.dhaga_parked = True
        # HAZARD: a finalizer, or a signal handler, may run between any two steps of the way to the switch, and may park in this
        # very greenlet.  What was meant to wake the outer wait has then woken the inner one.  `dhaga_parks` counts resumptions:
        # if one came since the outer wait began, it does not wait, and whoever waits looks again.
        loop = running_loop() if SOURCE in MODULES else None
        if loop is not None or self.carries or tools.keeper.seen() is not None or _getprofile() is not None:
            self._carry(loop, me, seen)
        else:
            # The next whose turn it is, without going by the hub.  HAZARD: one that has not begun (it is false) is begun from
            # the hub: its C stack starts where it is begun, and one inside the other they would use it up.
            runq = self.runq
            if runq and (self._left > 0 or (self._left > BEYOND and not self.netpoll.loop_work)) and runq[0]:
                self._left -= 1
                monitored.pass_on(runq, me, seen)
            else:
                monitored.leave(self.greenlet, me, seen)
        _LEFT[0] = _TURN[0]
        me.dhaga_parks += 1
        me.dhaga_parked = False
        me.dhaga_waiting = None
        me.dhaga_deadline = None
        timed_out = me.dhaga_timed_out
        if timed_out:
            me.dhaga_timed_out = False
        if me.dhaga_interrupts is not None:
            deliver_all(me)
        return not timed_out

    def _carry(self, loop: asyncio.AbstractEventLoop | None, me: greenlet, seen: int) -> None:
        """Switch, with what the interpreter keeps for the OS thread saved and put back."""
        trace = sys.gettrace()
        if trace is not None:
            _real.settrace(None)
        depth = tools.keeper.leave()
        profile = profiles.keeper.take()
        try:
            self._switch_alone(loop, me, seen)
        finally:
            if profile is not None:
                profiles.keeper.put(profile)
            tools.keeper.enter(depth)
            if trace is not None:
                _real.settrace(trace)

    def _switch_alone(self, loop: asyncio.AbstractEventLoop | None, me: greenlet, seen: int) -> None:
        kept = leave_loop(loop)  # HAZARD: before the dictionary goes, in which the interpreter may keep it
        hooks = threadstate.take_hooks(self)
        own = threadstate.keeper.take(self)
        try:
            monitored.leave(self.greenlet, me, seen)
        finally:
            threadstate.keeper.put(self, own)
            threadstate.put_hooks(self, hooks)
            enter_loop(kept)

    def yield_(self, me: greenlet, deliver: Callable[[greenlet], object] = deliver_all) -> None:
        """Let each dhaga that is ready now have its turn; `deliver` is called with `me` when something is due in it then."""
        # as in `park`: a method for both would cost a frame more, since 3.12 an object
        seen = me.dhaga_parks
        me.dhaga_waiting = "its turn"
        me.dhaga_parked = False  # it stands in the run queue already: a wake must not put it there twice
        runq = self.runq
        runq.append(me)
        loop = running_loop() if SOURCE in MODULES else None
        if loop is not None or self.carries or tools.keeper.seen() is not None or _getprofile() is not None:
            self._carry(loop, me, seen)
        elif self._left > 0 and runq and runq[0]:
            self._left -= 1
            monitored.pass_on(runq, me, seen)
        else:
            monitored.leave(self.greenlet, me, seen)
        _LEFT[0] = _TURN[0]
        me.dhaga_parks += 1
        me.dhaga_waiting = None
        if me.dhaga_interrupts is not None:
            deliver(me)

    def await_thread(self, me: Dhaga) -> None:
        """`me` has nothing to run: until somebody takes it out of `spare`, gives it something, and wakes it."""
        me.dhaga_parked = False
        self.spare.append(me)
        threadstate.keeper.await_thread(self)

    def rest(self, deliver: Callable[[greenlet], object] = deliver_all) -> None:
        """The current greenlet's calls have come through at once for long: let the others have their turn."""
        me = getcurrent()
        if me not in FORKERS:
            self.yield_(me, deliver)

    def preempt(self, me: greenlet) -> None:
        """`me`, the current greenlet, has run for long: who is due by now goes first.  No wait: a kill is left for the next."""
        if me not in FORKERS:
            self.netpoll.look()
            self.yield_(me, deliver_handlers)

    def wake(self, sleeper: greenlet) -> None:
        """Make `sleeper` ready if it is parked; from any OS thread."""
        if _real.get_ident() == self.waker:
            if sleeper.dhaga_parked:
                sleeper.dhaga_parked = False
                self.runq.append(sleeper)
        else:
            self.inbox.append(sleeper)
            self.notify()

    @property
    def wakes(self) -> int:
        """The descriptor by which native threads that know nothing of Python wake it; -1: it has none."""
        return self._wakeup.writer

    def notify(self) -> None:
        """Have the hub look into its inbox; from any OS thread, also from a signal handler."""
        if not self._notified:
            self._notified = True
            self._wakeup.notify()

    def _woken(self) -> None:
        """The poller saw the wake-up descriptor.

        HAZARD: a turn may come between the flag and the write in `notify`; then the flag is down, and the descriptor, if
        it were not drained now, would stay ready for ever.
        """
        self._notified = True

    def interrupt(self, sleeper: greenlet, what: BaseException | Callable[[], object]) -> None:
        """Have `sleeper` raise or call `what` where it waits now, or at its next wait."""
        if sleeper.dhaga_interrupts is None:
            sleeper.dhaga_interrupts = deque()
        sleeper.dhaga_interrupts.append(what)
        self.wake(sleeper)
        if _real.get_ident() == self.ident:
            self.notify()  # HAZARD: a signal handler that runs inside epoll_wait does not end it

    # turns

    def _turn(self) -> int:
        if self._notified:
            # HAZARD: first the flag, then the descriptor, then the inbox: what is put in after the inbox
            # was emptied finds the flag down and notifies again.
            self._notified = False
            inbox = self.inbox
            self._wakeup.drain(inbox)
            while inbox:
                # HAZARD: no call from here to the append (see `monitored`)
                sleeper: Any = inbox[0]; del inbox[0]  # noqa: E702  # fmt: skip
                if sleeper.dhaga_parked:
                    sleeper.dhaga_parked = False
                    self.runq.append(sleeper)
        runq = self.runq
        ready = self._left = len(runq)
        resume = threadstate.keeper.resume
        # HAZARD: a finalizer that runs in the hub and waits runs turns of its own, which empty the queue
        while self._left > 0 and runq:
            self._left -= 1
            if resume is None:
                monitored.resume_first(runq)
            else:
                resume(self, runq)
        return ready and max(ready - self._left, 1)  # some may have gone on to others that became ready meanwhile

    def enter(self) -> None:
        """From asyncio to dhagas."""
        self.level += 1
        if self.level == 1:
            self._hooks = threadstate.take_hooks(self)
            _, self._task = leave_loop(running_loop(), set_all_running_loops)

    def leave(self) -> None:
        """From dhagas to asyncio."""
        self.level -= 1
        if self.level == 0 and self._loops is not None:
            enter_loop((self._loops[0], self._task), set_all_running_loops)
            threadstate.put_hooks(self, self._hooks)

    def _run(self) -> None:
        while True:
            try:
                if self._loops is None:
                    self._run_alone()
                else:
                    self._loops[1].start()
            except BaseException as error:
                if self._loops is not None and self._loops[0].is_closed():
                    raise
                # a callback of the loop raised SystemExit or KeyboardInterrupt: the program's main flow gets it
                self.level = 0
                # HAZARD: a task that waits for another one raises the same object again
                if error is not self._told:
                    self._told = error
                    self.interrupt(self.main, error.with_traceback(None))

    def _run_alone(self) -> None:
        """Turns and polls until somebody asks for the loop.  No loop runs here: to asyncio it is as if dhagas ran."""
        self.level = 1
        while self._loops is None:
            self.netpoll.loop_work = False
            self.netpoll.run(None)
        self.level = 0

    def close(self) -> None:
        """Give the descriptors back; nothing waits in it any more."""
        while self.spare and not self.abandoned:
            # HAZARD: its frames refer to it, and the collector does not look into them: dropped alone it would stay for ever
            one = self.spare.pop()
            one.parent = getcurrent()
            one.switch()
        self.abandoned = True  # whoever waits in it can't be woken any more
        ABANDONED.extend(self.dhagas)  # parked for ever: not unwound, as a native daemon thread is not
        self.netpoll.poller.close()
        self._wakeup.close()
        if self._loops is not None:
            loop: Any = self._loops[0]
            for sock in (loop._ssock, loop._csock):
                close_own(sock.detach())

    def _quiet(self) -> None:
        """Nothing has happened for a while and no deadline is near: can anything ever happen again?"""
        if is_dead(self):
            self.interrupt(self.main, self.on_dead())


# who is calling


def all_hubs() -> list[Hub]:
    """The hubs of all OS threads; a copy-free view, for reading."""
    return _hubs


def current_hub() -> Hub | None:
    """The hub of this OS thread, if it has one, also in the hub's own greenlet."""
    return THREAD.hub


def main_hub() -> Hub | None:
    """The hub of the interpreter's main OS thread, if it has one; from any OS thread."""
    return next((hub for hub in list(_hubs) if hub.ident == _MAIN_IDENT), None)


def adopt_greenlet() -> Hub | None:
    """Give the current greenlet the attributes of a waiter; its hub, or None where it may not park."""
    me = getcurrent()
    hub = THREAD.hub
    above: greenlet | None = me
    while above is not None:
        if type(above) is HubGreenlet and above is not me:
            break
        if isinstance(above, HubGreenlet) or (hub is not None and hub.host is not None and above is hub.host.greenlet):
            hub = None
        above = above.parent
    _make_waiter(me, hub)
    return hub


def _make_waiter(one: greenlet, hub: Hub | None) -> None:
    one.dhaga_hub = hub
    if not hasattr(one, "dhaga_parked"):
        one.dhaga_parked = one.dhaga_timed_out = False
        one.dhaga_parks = 0
        one.dhaga_deadline = one.dhaga_timer_at = one.dhaga_interrupts = one.dhaga_waiting = None


def hub_for_wait() -> Hub | None:
    """The hub in which the current greenlet may park, made if this is the main thread's first wait.

    None: the caller must wait natively (an OS thread without a hub, or the hub's own greenlet).
    """
    hub = parking_hub()
    if hub is None:
        own = THREAD.hub
        if own is None:
            if _real.get_ident() == _MAIN_IDENT and not sys.is_finalizing():
                return get_hub()
        elif own.host is not None and own.host.has_ended():
            return parking_hub()
    return hub


def parking_hub() -> Hub | None:
    """As `hub_for_wait`, but none is made.  HAZARD: in the interpreter's last moments (finalizers of modules, the flush of
    standard output) greenlet has a RuntimeError for who asks for the current greenlet; those wait natively.
    """
    try:
        return getcurrent().dhaga_hub
    except AttributeError:
        return adopt_greenlet()
    except RecursionError:
        raise
    except RuntimeError:
        return None


def get_hub() -> Hub:
    """The hub of this OS thread, made if there is none: from then on its patched calls are cooperative.

    The main thread needs no call: it gets its hub with its first wait.

    .. versionadded:: 0.1
    """
    hub = THREAD.hub
    if hub is None:
        hub = THREAD.hub = Hub()
        _hubs.append(hub)
        if not in_main_thread():
            running.close_at_thread_end(hub, _hubs)
        for one in {running.thread_root(), hub.main, getcurrent()}:
            _make_waiter(one, hub)
        if hub.main.parent is not None:
            hub.main.parent = hub.greenlet  # a dhaga that forked: the parent's hub is not to be resumed
        for callback in _new_hub_callbacks:
            callback(hub)
    return hub


def on_new_hub(callback: Callable[[Hub], None]) -> None:
    """Call `callback` with each hub that is made."""
    _new_hub_callbacks.append(callback)


def in_main_thread() -> bool:
    """Whether this OS thread is the interpreter's main one: there signal handlers run, and may be set."""
    return bool(_real.get_ident() == _MAIN_IDENT)


def set_main_thread(ident: int) -> None:
    """The native identity of the thread that gets a hub by itself."""
    global _MAIN_IDENT
    _MAIN_IDENT = ident
