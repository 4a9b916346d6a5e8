"""What may come between two steps of the core comes there: a pause is put between them, and in it the other one acts.

    python windows.py [CASE...]

Each case is a function; one that hangs is ended by the watchdog, which shows where everybody stands.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import operator
import os
import select
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

from greenlet import getcurrent
from steps import Native, Result, Told, before_once, until

import dhagapatch
from dhagapatch import _real
from dhagapatch._errors import DhagaExit
from dhagapatch.core import Lock, Queue, RLock, budget, get_hub, own_native_threads, spawn, start_helper
from dhagapatch.core.deadlines import Deadlines
from dhagapatch.core.descriptors import wait_entry
from dhagapatch.core.netpoll import Entry
from dhagapatch.core.parker import DhagaParker
from dhagapatch.core.poller import READ
from dhagapatch.core.waitq import WaitQueue
from dhagapatch.green import _thread as green_thread
from dhagapatch.green import select as green_select
from dhagapatch.green import waiting

SOON, LONG = 0.005, 3600.0  # seconds; nothing waits for the end of the latter


def turn() -> None:
    """Let each dhaga that is ready have its turn."""
    get_hub().yield_(getcurrent())


def held_by(native_lock: Any, urgent: bool) -> Native:
    """A native thread that holds the lock, takes it again before a waiter has it if that is to be urgent, and releases it."""

    def barge() -> None:
        native_lock.release()
        assert native_lock.acquire(False)

    holder = Native(native_lock.acquire, *([barge] if urgent else []), native_lock.release)
    holder.step()
    return holder


def waits_for(lock: Any, holder: Native, urgent: bool, timeout: float) -> Result:
    """A dhaga that waits for the lock; urgent: it was woken once in vain."""
    waiter = Result(lambda: lock.acquire(timeout=timeout))
    until(lambda: waiter.dhaga.dhaga_parked and lock._waiters)
    if urgent:
        holder.step()
        until(lambda: lock._waiters and lock._waiters[0].urgent)
    return waiter


KINDS = list(itertools.product((Lock, RLock), (False, True)))


def case_released_as_the_time_is_over() -> None:
    for kind, urgent in KINDS:
        lock = kind()
        holder = held_by(lock, urgent)
        with before_once(WaitQueue, "leave", holder.step) as left:
            waiter = waits_for(lock, holder, urgent, 0.05)
            assert waiter.get() is True and not left, (kind, urgent)
        assert lock._mutex_held and not lock._waiters
        assert kind is Lock or (lock._mutex_owner, lock._mutex_count) == (waiter.dhaga.ident, 1)


def case_released_as_the_waiter_is_killed() -> None:
    for kind, urgent in KINDS:
        lock = kind()
        holder = held_by(lock, urgent)
        with before_once(WaitQueue, "leave", holder.step) as left:
            waiter = waits_for(lock, holder, urgent, LONG)
            second = Result(lambda lock=lock: (lock.acquire(), lock.release()))
            until(lambda: len(lock._waiters) == 2)  # noqa: B023
            waiter.dhaga.kill()
            assert waiter.get() is DhagaExit and not left, (kind, urgent)
        second.get()
        assert not lock._mutex_held and not lock._waiters, (kind, urgent)


def case_chosen_and_not_woken_yet_as_the_time_is_over() -> None:
    """The native thread that releases stops between the choice and the word; the compiled part has no such place for dhagas."""
    for (kind, urgent), (owner, name) in itertools.product(KINDS, ((WaitQueue, "choose"), (DhagaParker, "wake"))):
        lock = kind()
        holder = held_by(lock, False)
        method = getattr(owner, name)

        def pause(*args: Any, method: Any = method, holder: Native = holder) -> Any:
            if _real.get_ident() != holder.ident:
                return method(*args)
            result = method(*args) if method.__name__ == "choose" else None
            holder.pause()
            return result or method(*args)

        waiter = waits_for(lock, holder, False, 0.05)
        lock._waiters[0].urgent = urgent
        setattr(owner, name, pause)
        try:
            holder.step()
            if holder.is_paused:
                # it runs out of time, finds itself gone from the queue, and waits for the word
                until(lambda: waiter.values or waiter.dhaga.dhaga_waiting == "the waker's word")  # noqa: B023
                holder.go_on()
        finally:
            setattr(owner, name, method)
        assert waiter.get() is True, (kind, urgent, name)
        assert lock._mutex_held and not lock._waiters
        assert kind is Lock or lock._mutex_owner == waiter.dhaga.ident


def case_handed_over_by_a_dhaga() -> None:
    for kind in (Lock, RLock):
        lock = kind()
        lock.acquire()
        waiter = Result(lambda lock=lock: (lock.acquire(), lock.release()))
        until(lambda: waiter.dhaga.dhaga_parked and lock._waiters)  # noqa: B023
        lock.release()
        lock.acquire()  # before the waiter, who is woken in vain
        until(lambda: lock._waiters and lock._waiters[0].urgent)  # noqa: B023
        lock.release()
        assert lock._mutex_held
        assert kind is Lock or (lock._mutex_owner, lock._mutex_count) == (waiter.dhaga.ident, 1)
        assert waiter.get() == (True, None)
        assert not lock._mutex_held and not lock._waiters


def case_released_before_the_waiter_stands_in_the_queue() -> None:
    """Between the look at the flag and the queue, which is made for the first who waits."""
    for kind in (Lock, RLock):
        lock = kind()
        holder = held_by(lock, False)

        def make(self: Any, *args: Any, holder: Native = holder) -> None:
            del WaitQueue.__init__
            holder.step()

        WaitQueue.__init__ = make  # type: ignore[method-assign]
        waiter = Result(lambda lock=lock: lock.acquire())
        assert waiter.get() is True
        assert lock._mutex_held and not lock._waiters, "who got it without a wait stands in the queue"
        if kind is Lock:
            lock.release()


def case_put_as_the_waiter_leaves() -> None:
    for killed in (False, True):
        queue = Queue()
        putter = Native(lambda queue=queue: queue.put("item"))
        with before_once(WaitQueue, "leave", putter.step) as left:
            waiter = Result(lambda queue=queue, killed=killed: queue.get(timeout=LONG if killed else 0.02))
            until(lambda: queue._waiters)  # noqa: B023
            second = Result(lambda queue=queue: queue.get())
            until(lambda: len(queue._waiters) == 2)  # noqa: B023
            if killed:
                waiter.dhaga.kill()
            assert waiter.get() == (DhagaExit if killed else "item") and not left
        if not killed:
            turn()
            assert not second.values
            queue.put("item")
        assert second.get() == "item"
        assert not queue._waiters


def case_killed_in_the_moment_of_the_wake_up() -> None:
    """Who was woken keeps what it was woken for, and the end comes at its next wait."""

    def take_and_wait(take: Callable[[], Any], got: list[Any]) -> None:
        got.append(take())
        waiting.sleep_until(_real.monotonic() + LONG)

    lock, rlock, queue = Lock(), RLock(), Queue()
    for waits, take, give in (
        (lock, lock.acquire, lock.release), (rlock, rlock.acquire, rlock.release), (queue, queue.get, lambda: queue.put("item")),
    ):  # fmt: skip
        if waits is not queue:
            take()
        got: list[Any] = []
        waiter = Result(take_and_wait, take, got)
        until(lambda: waits._waiters)  # noqa: B023
        give()
        waiter.dhaga.kill()
        assert waiter.get() is DhagaExit
        assert got == (["item"] if waits is queue else [True]), waits
        assert not waits._waiters


def case_who_gave_up_stands_in_no_queue() -> None:
    hub = get_hub()
    lock, queue = Lock(), Queue()
    lock.acquire()
    reader, writer = os.pipe()
    entry = hub.entries[reader] = Entry(reader)
    one, _other = socket.socketpair()
    one.settimeout(0)
    calls: list[tuple[Callable[[float | None], Any], Callable[[], list[Any]]]] = [
        (lambda deadline: lock._wait(deadline), lambda: lock._waiters),
        (lambda deadline: queue._wait(deadline), lambda: queue._waiters),
        (lambda deadline: wait_entry(hub, entry, READ, deadline, afresh=True), lambda: entry.readers),
        (
            lambda deadline: green_select._wait_any(hub, [(reader, select.POLLIN)], deadline, lambda closed, final: None),
            lambda: entry.readers,
        ),
        (
            lambda deadline: waiting.wait_socket(one, one.fileno(), READ, deadline, waiting.resumptions()),
            lambda: hub.entries[one.fileno()].readers,
        ),
    ]
    for call, waiters in calls:
        for _ in range(2):  # the second time what is known of a descriptor is there
            waiter = Result(call, _real.monotonic() + SOON)
            waiter.get()
            assert not list(waiters()), waiters()
            waiter = Result(call, None)
            until(lambda: waiters())  # noqa: B023
            waiter.dhaga.kill()
            assert waiter.get() is DhagaExit
            assert not list(waiters()), waiters()
    os.close(reader)
    os.close(writer)


def case_waits_leave_no_reference_behind() -> None:
    me, hub = getcurrent(), get_hub()
    reader, writer = os.pipe()
    one, other = socket.socketpair()
    lock = Lock()
    lock.acquire()

    def wait() -> None:
        spawn(os.write, writer, b"x")
        waiting.wait_descriptor(reader, READ)
        os.read(reader, 1)
        spawn(_real.socket.send, other, b"x")
        assert waiting.wait_socket(one, one.fileno(), READ, None, waiting.resumptions())
        _real.socket.recv(one, 1)
        assert not waiting.wait_socket(one, one.fileno(), READ, _real.monotonic(), waiting.resumptions())
        spawn(lock.release)
        lock.acquire()
        assert not lock.acquire(timeout=0)

    wait()
    entries = [hub.entries[fd] for fd in (reader, one.fileno())]
    before = [sys.getrefcount(thing) for thing in (me, hub, lock, one, *entries)]
    for _ in range(30):
        wait()
    after = [sys.getrefcount(thing) for thing in (me, hub, lock, one, *entries)]
    assert all(now - then < 10 for now, then in zip(after[:1] + after[2:], before[:1] + before[2:])), (before, after)
    # each thread that is kept for another one has the hub
    assert after[1] - before[1] < 100, (before, after)


def case_put_into_the_inbox_as_it_is_seen_empty() -> None:
    hub = get_hub()

    class Inbox(deque[Any]):
        """Another OS thread puts somebody in just after the hub has seen that nobody is there any more."""

        act: Any = None

        def __bool__(self) -> bool:
            filled = len(self) > 0
            if not filled and self.act is not None:
                act, self.act = self.act, None
                act()
            return filled

    hub.inbox = Inbox()
    parker = DhagaParker(hub, getcurrent())
    waker = Native(parker.wake)
    hub.inbox.act = waker.step
    hub.notify()
    assert parker.park(None, "the waker")
    hub.inbox = deque()


def case_the_budget_is_whole_after_a_wait() -> None:
    """Who has waited may do as much as ever, however much the one before has left."""
    hub, me, lock = get_hub(), getcurrent(), Lock()

    def spend(units: int) -> None:
        for _ in range(units):
            with lock:
                pass

    for wait in (turn, lambda: hub.park(me, None, "the spender", me.dhaga_parks)):
        spawn(lambda: (spend(budget.UNITS - 10), hub.wake(me)))
        wait()
        before = me.dhaga_parks
        spend(budget.UNITS - 10)
        assert me.dhaga_parks == before, "it gave way before its budget was spent"
        spend(20)
        assert me.dhaga_parks == before + 1


def case_who_only_looks_lets_others_run() -> None:
    for look in (Queue.empty, lambda queue: not queue.qsize(), lambda queue: not queue._items and Lock().locked() is False):
        queue = Queue()
        spawn(queue.put, "item")
        while look(queue):
            pass


def case_helpers_are_counted_while_they_run() -> None:
    before, told = own_native_threads(), Told()
    start_helper(told.wait)
    assert own_native_threads() == before + 1
    told.tell()
    until(lambda: own_native_threads() == before)


def case_a_native_thread_runs_out_of_time() -> None:
    lock, said = Lock(), []
    lock.acquire()
    Native(lambda: said.append(lock.acquire(timeout=0.05))).step()
    assert said == [False] and not lock._waiters


def case_a_later_wait_has_no_end_of_an_earlier_one() -> None:
    hub = get_hub()

    def wait() -> list[bool]:
        me = getcurrent()
        said = [hub.park(me, _real.monotonic() + SOON, "its time", me.dhaga_parks)]
        said.append(hub.park(me, _real.monotonic() + 10 * SOON, "a wake", me.dhaga_parks))
        said.append(me.dhaga_deadline is None and not me.dhaga_timed_out)
        said.append(hub.park(me, None, "a wake", me.dhaga_parks))
        said.append(hub.park(me, _real.monotonic() + LONG, "a third wake", me.dhaga_parks))
        said.append(hub.park(me, _real.monotonic() + SOON, "its time", me.dhaga_parks))
        return said

    waiter = Result(wait)
    until(lambda: waiter.dhaga.dhaga_waiting == "a wake")
    hub.wake(waiter.dhaga)
    until(lambda: waiter.dhaga.dhaga_parked and waiter.dhaga.dhaga_deadline is None)
    waiting.sleep_until(_real.monotonic() + 20 * SOON)
    assert not waiter.values
    hub.wake(waiter.dhaga)
    until(lambda: waiter.dhaga.dhaga_waiting == "a third wake")
    hub.wake(waiter.dhaga)
    assert waiter.get() == [False, True, True, True, True, False]


def case_ended_before_the_joiner_stands_in_the_queue() -> None:
    if _real.ThreadHandle is None:
        return  # until 3.12 it is a lock that is waited for
    release = Lock()
    release.acquire()
    handle = green_thread.start_joinable_thread(release.acquire)

    def end() -> None:
        release.release()
        until(handle.is_done)

    with before_once(green_thread, "make_parker", end) as left:
        handle.join()
    assert not left


def case_deadlines_that_become_shorter_and_longer() -> None:
    class Waiter:
        dhaga_deadline: float | None = None
        dhaga_timer_at: float | None = None
        dhaga_parked = dhaga_timed_out = False

    deadlines, waiter = Deadlines(), Waiter()

    def expired(now: float) -> bool:
        waiter.dhaga_parked, waiter.dhaga_timed_out = True, False
        runq: deque[Any] = deque()
        deadlines.expire(now, runq)
        assert list(runq) == [waiter] * waiter.dhaga_timed_out and waiter.dhaga_parked is not waiter.dhaga_timed_out
        return waiter.dhaga_timed_out

    def arm(when: float) -> None:
        waiter.dhaga_deadline = when
        deadlines.arm(waiter, when)

    arm(100.0)
    arm(10.0)
    assert expired(10.0)
    arm(20.0)
    assert expired(20.0)
    arm(300.0)
    assert not expired(200.0)
    assert expired(300.0) and not deadlines.any_live()


def case_ready_from_inside_the_question() -> None:
    """What is asked about becomes ready after the kernel has said that it is not, and the edge comes before the wait."""
    hub = get_hub()
    reader, writer = os.pipe()
    real = waiting.is_ready
    asked = []

    def is_ready(fd: int, direction: int) -> bool:
        said = real(fd, direction)
        asked.append(said)
        if len(asked) in (1, 4):  # the descriptor is new; and it is registered, and its edge has been
            os.write(writer, b"x")
            waiting.sleep_until(_real.monotonic() + SOON)  # so the hub polls
        return said

    waiting.is_ready = is_ready
    try:
        for number in range(2):
            assert waiting.wait_descriptor(reader, READ, _real.monotonic() + 10)
            assert asked[-2:] == [False, True], (number, asked)
            assert os.read(reader, 9) == b"x"
            asked.append(None) if number == 0 else None
    finally:
        waiting.is_ready = real
    for first in (1, 2):  # at which question it becomes ready
        asked.clear()
        others = os.pipe()

        def ask(closed: set[int], final: bool, first: int = first) -> list[int]:
            ready, _, _ = select.select([reader], [], [], 0)
            asked.append(ready)
            if len(asked) == first:
                os.write(writer, b"x")
                waiting.sleep_until(_real.monotonic() + SOON)
            return ready

        interests = [(reader, select.POLLIN), (others[0], select.POLLIN)]
        waiter = Result(green_select._wait_any, hub, interests, _real.monotonic() + 10, ask)
        until(lambda: waiter.dhaga.dhaga_parked and others[0] in hub.entries)  # noqa: B023
        for _ in range(first):  # what moves has it ask, and is gone
            os.write(others[1], b"y")
            until(lambda: len(asked) or waiter.values)  # noqa: B023
        assert waiter.get() == [reader], asked
        os.read(reader, 9)
        for fd in others:
            os.close(fd)


def case_a_question_that_wakes_the_one_who_asks() -> None:
    """The wake-up that comes out of the question itself is not taken for the edge, nor is the edge lost with it."""
    hub = get_hub()
    reader, writer = os.pipe()
    real = waiting.is_ready
    wakes = [3]

    def is_ready(fd: int, direction: int) -> bool:
        said = real(fd, direction)
        if wakes[0]:
            wakes[0] -= 1
            hub.wake(getcurrent())
            hub.interrupt(getcurrent(), lambda: None)
        return said

    waiting.is_ready = is_ready
    try:
        waiter = Result(lambda: waiting.wait_descriptor(reader, READ))
        until(lambda: waiter.dhaga.dhaga_parked and not wakes[0])
        for _ in range(3):
            turn()
        assert not waiter.values
        os.write(writer, b"x")
        assert waiter.get() is True
    finally:
        waiting.is_ready = real


def case_call_soon_from_a_handler_before_the_poll() -> None:
    """Its signal comes after the hub's last look for work; what it puts on the loop does not wait for the next event."""
    hub, clock = get_hub(), _real.monotonic
    loop = hub.asyncio_loop
    called: list[str] = []
    me = getcurrent()

    def handle(signum: int, frame: Any) -> None:
        if _real.monotonic is not clock:
            _real.monotonic = clock
            loop.call_soon(lambda: (called.append("soon"), hub.wake(me)))

    signal.signal(signal.SIGUSR1, handle)
    # HAZARD: called without a frame of Python's: at the end of one the interpreter would look for signals.  First, for the end of
    # the run of turns, it is the clock; within the run it trips the signal, and says 0
    trip = functools.partial(ctypes.pythonapi.PyErr_SetInterruptEx, int(signal.SIGUSR1))
    _real.monotonic = functools.partial(next, map(operator.call, itertools.chain([clock], itertools.repeat(trip))))
    loop.call_later(LONG, lambda: None)  # until when it may sleep
    loop.call_soon(lambda: None)  # its next run of turns has that clock
    while not called:
        hub.park(me, clock() + LONG, "the loop", me.dhaga_parks)


def case_call_soon_from_a_handler_in_the_first_step_of_the_poll() -> None:
    """In a program that is patched; here the hub looks for nothing any more before it sleeps."""
    dhagapatch.patch_all()
    hub = get_hub()
    loop = hub.asyncio_loop
    poller: Any = type(hub.netpoll.poller)
    called: list[str] = []
    me = getcurrent()
    acts = [lambda: signal.raise_signal(signal.SIGUSR1)]
    ring = lambda: (called.append("soon"), hub.wake(me))  # noqa: E731
    signal.signal(signal.SIGUSR1, lambda signum, frame: loop.call_soon(ring))
    loop.call_later(LONG, lambda: None)
    edges = poller.edges

    def poll(self: Any, timeout: float | None) -> Any:
        if acts and (timeout is None or timeout > 0):
            acts.pop()()
        return edges(self, timeout)

    poller.edges = poll
    try:
        while not called:
            hub.park(me, _real.monotonic() + LONG, "the loop", me.dhaga_parks)
        assert not acts
    finally:
        poller.edges = edges


def main() -> None:
    names = sys.argv[1:] or [name for name in globals() if name.startswith("case_")]
    for name in names:
        print(name, flush=True)
        globals()[name]()
        for fd in list(get_hub().entries):  # nothing is patched: their numbers come again
            get_hub().netpoll.forget(fd)


if __name__ == "__main__":
    main()
