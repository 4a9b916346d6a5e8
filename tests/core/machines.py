"""State machines for what threads wait on: the same rules and the same model hold for the real primitives and for green ones.

    python machines.py MACHINE EXAMPLES                  the real ones
    python -m dhagapatch machines.py MACHINE EXAMPLES    the green ones

Each blocking call is made by a thread of its own.  After each rule the model says how many calls must have come through by
now; one that does not is a lost wake-up, one too many is a wake-up made twice.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

SHORT = 0.002  # seconds; a timeout that is meant to be over
PATIENCE = 5.0  # seconds until a call that must come through counts as lost


class Call:
    """A blocking call in a thread of its own; holds what it got until it is told to give it back."""

    def __init__(self, acquire: Callable[[], Any], release: Callable[[Any], object] | None = None) -> None:
        self.state = "begun"
        self.result: Any = None
        self.go = threading.Event()
        self._acquire, self._release = acquire, release
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        self.state = "waiting"
        try:
            self.result = self._acquire()
        except Exception as error:
            self.result = error
        if self._release is None or not self.result:
            self.state = "ended"
            return
        self.state = "holding"
        self.go.wait()
        self._release(self.result)
        self.state = "ended"


class Machine(RuleBasedStateMachine):
    """Calls under way, and the waiting for the model's truth."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def count(self, state: str) -> int:
        return sum(call.state == state for call in self.calls)

    def expect(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until `condition` holds, as it must soon."""
        until = time.monotonic() + PATIENCE
        while not condition():
            states = [(call.state, call.result) for call in self.calls]
            assert time.monotonic() < until, f"{what}: {states}"
            time.sleep(0 if "dhagapatch" in sys.modules else 0.0002)

    def settle(self) -> None:
        self.expect(lambda: not self.count("begun"), "every thread runs")

    def teardown(self) -> None:
        self.calls.clear()


class Permits(Machine):
    """Whatever lets at most `most` in: a lock, a reentrant lock, a semaphore."""

    most = 1
    make: Callable[[], Any] = threading.Lock

    def __init__(self) -> None:
        super().__init__()
        self.thing = type(self).make()
        self.wanted = 0  # calls that hold or wait without end

    def _holding(self) -> int:
        return min(self.most, self.wanted)

    @rule()
    def acquire(self) -> None:
        self.calls.append(Call(lambda: self.thing.acquire(), lambda _: self.thing.release()))
        self.wanted += 1

    @rule()
    def enter(self) -> None:
        self.calls.append(Call(lambda: self.thing.__enter__() or True, lambda _: self.thing.__exit__(None, None, None)))
        self.wanted += 1

    @rule()
    def try_acquire(self) -> None:
        free = self.wanted < self.most
        call = Call(lambda: self.thing.acquire(False), lambda _: self.thing.release())
        self.calls.append(call)
        self.expect(lambda: call.state in ("holding", "ended"), "a call that does not block")
        assert bool(call.result) is free
        self.wanted += free

    @rule()
    def acquire_for_a_short_time(self) -> None:
        free = self.wanted < self.most
        call = Call(lambda: self.thing.acquire(timeout=SHORT), lambda _: self.thing.release())
        self.calls.append(call)
        self.expect(lambda: call.state in ("holding", "ended"), "a timeout")
        assert bool(call.result) is free
        self.wanted += free

    @precondition(lambda self: self.wanted)
    @rule(number=st.integers(0, 50))
    def release(self, number: int) -> None:
        self.settle()
        holders = [call for call in self.calls if call.state == "holding"]
        call = holders[number % len(holders)]
        call.go.set()
        self.wanted -= 1
        self.expect(lambda: call.state == "ended", "a release")

    @precondition(lambda self: self.wanted)
    @rule()
    def release_while_one_gives_up(self) -> None:
        """A timeout and a release in the same moment: the permit must not get lost between them."""
        self.settle()
        leaving = Call(lambda: self.thing.acquire(timeout=SHORT), lambda _: self.thing.release())
        self.calls.append(leaving)
        holder = next(call for call in self.calls if call.state == "holding")
        time.sleep(SHORT)
        holder.go.set()
        self.wanted -= 1
        self.expect(lambda: holder.state == "ended" and leaving.state in ("holding", "ended"), "a release beside a timeout")
        leaving.go.set()  # which of the two came first is chance; the model must not depend on it
        self.expect(lambda: leaving.state == "ended", "a release")

    @invariant()
    def as_many_are_in_as_may_be(self) -> None:
        self.settle()
        self.expect(lambda: self.count("holding") == self._holding(), f"{self._holding()} of {self.wanted} hold")
        assert self.count("waiting") == self.wanted - self._holding()


class LockMachine(Permits):
    pass


class RLockMachine(Permits):
    make = threading.RLock

    @rule()
    def reenter(self) -> None:
        """Its holder may come in again, nobody else may."""
        if self.wanted == 0:
            with self.thing:
                assert self.thing.acquire(timeout=SHORT)
                others: list[Any] = []
                thread = threading.Thread(target=lambda: others.append(self.thing.acquire(False)))
                thread.start()
                thread.join()
                assert others == [False]
                self.thing.release()


class SemaphoreMachine(Permits):
    most = 3
    make = staticmethod(lambda: threading.Semaphore(3))


class ConditionMachine(Machine):
    """Waiters, notified by number, timed out, and in between."""

    def __init__(self) -> None:
        super().__init__()
        self.condition = threading.Condition()
        self.parked = 0
        self.woken = 0

    def _wait(self, timeout: float | None) -> Callable[[], bool]:
        def call() -> bool:
            with self.condition:
                self.entered += 1
                return self.condition.wait(timeout)

        return call

    entered = 0

    @rule()
    def wait(self) -> None:
        before = self.entered
        self.calls.append(Call(self._wait(None)))
        self.parked += 1
        self.expect(lambda: self.entered == before + 1, "the condition's lock is free")
        with self.condition:
            pass  # the waiter holds the lock until it waits: now it does

    @rule()
    def wait_for_a_short_time(self) -> None:
        call = Call(self._wait(SHORT))
        self.calls.append(call)
        self.expect(lambda: call.state == "ended", "a timeout")
        assert call.result is False

    @rule(number=st.integers(1, 4))
    def notify(self, number: int) -> None:
        with self.condition:
            self.condition.notify(number)
        woken = min(number, self.parked)
        self.parked -= woken
        self.woken += woken

    @rule()
    def notify_all(self) -> None:
        with self.condition:
            self.condition.notify_all()
        self.woken += self.parked
        self.parked = 0

    @invariant()
    def as_many_are_woken_as_were_notified(self) -> None:
        def woken() -> int:
            return sum(call.state == "ended" and call.result is True for call in self.calls)

        self.expect(lambda: woken() == self.woken, f"{self.woken} woken")
        assert self.count("waiting") == self.parked


class QueueMachine(Machine):
    """Producers and consumers of a bounded queue: nothing is lost, doubled or out of order."""

    make: Callable[[], Any] = staticmethod(lambda: queue.Queue(2))
    room = 2

    def __init__(self) -> None:
        super().__init__()
        self.queue = type(self).make()
        self.put_items: list[int] = []
        self.getters = 0

    @rule(timeout=st.sampled_from([None, 60.0]))
    def put(self, timeout: float | None) -> None:
        item = len(self.put_items)
        self.put_items.append(item)
        self.calls.append(Call(lambda: self.queue.put(item, timeout=timeout)))

    @rule(timeout=st.sampled_from([None, 60.0]))
    def get(self, timeout: float | None) -> None:
        self.calls.append(Call(lambda: (self.queue.get(timeout=timeout),)))
        self.getters += 1

    @rule()
    def get_for_a_short_time(self) -> None:
        there = len(self.put_items) > self.getters
        call = Call(lambda: (self.queue.get(timeout=SHORT),))
        self.calls.append(call)
        self.expect(lambda: call.state == "ended", "a get with a timeout")
        assert isinstance(call.result, tuple if there else queue.Empty), call.result
        self.getters += there

    @rule()
    def put_for_a_short_time(self) -> None:
        full = len(self.put_items) - self.getters >= self.room
        call = Call(lambda: self.queue.put(len(self.put_items), timeout=SHORT))
        self.calls.append(call)
        self.expect(lambda: call.state == "ended", "a put with a timeout")
        assert isinstance(call.result, queue.Full) is full, call.result
        if not full:
            self.put_items.append(len(self.put_items))

    @invariant()
    def nobody_waits_without_need(self) -> None:
        self.settle()
        got = min(len(self.put_items), self.getters)
        stuck = max(0, len(self.put_items) - self.getters - self.room) + self.getters - got

        def results() -> list[int]:
            return [call.result[0] for call in self.calls if isinstance(call.result, tuple)]

        self.expect(lambda: len(results()) == got, f"{got} items taken")
        self.expect(lambda: self.count("waiting") == stuck, f"{stuck} calls wait")
        counted = Counter(results())
        assert max(counted.values(), default=1) == 1 and counted.keys() <= set(self.put_items), counted


class SimpleQueueMachine(QueueMachine):
    make = queue.SimpleQueue
    room = 1 << 30


MACHINES = {
    machine.__name__.removesuffix("Machine"): machine
    for machine in (LockMachine, RLockMachine, SemaphoreMachine, ConditionMachine, QueueMachine, SimpleQueueMachine)
}

if __name__ == "__main__":
    run_state_machine_as_test(
        MACHINES[sys.argv[1]],
        settings=settings(
            max_examples=int(sys.argv[2]), stateful_step_count=30, deadline=None, database=None, derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
