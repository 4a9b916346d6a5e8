"""Locks where it is hard: finalizers, the end of the recursion limit, arguments of every kind."""

from __future__ import annotations

import gc
import sys
import threading
import time
from decimal import Decimal
from fractions import Fraction
from typing import Any

MAKES = {"Lock": threading.Lock, "RLock": threading.RLock}


def case_timeouts_of_every_kind(t: Any) -> None:
    class Whole:
        def __index__(self) -> int:
            return 2

    class Number(int):
        pass

    values = [0, 0.0, 1, 1.5, True, Number(1), Whole(), -0.5, -2, 1e-12, float("inf"), float("nan"), threading.TIMEOUT_MAX]
    values += [threading.TIMEOUT_MAX * 2, None, "1", b"1", Decimal("0.5"), Fraction(1, 2), 2**70, object]
    for name, make in MAKES.items():
        for value in values:
            lock: Any = make()
            t.outcome(f"{name} timeout {value!r}"[:40], lambda lock=lock, value=value: lock.acquire(timeout=value))
            t.outcome(f"{name} not blocking", lambda lock=lock, value=value: lock.acquire(False, value))
        lock = make()
        lock.acquire()
        other = threading.Thread(target=lambda: t.note(lock.acquire(timeout=0.01), lock.acquire(0), lock.acquire(timeout=0)))  # noqa: B023
        other.start()
        other.join()
        lock.release()
        t.outcome("release again", lock.release)


def case_finalizers_that_take_the_lock(t: Any) -> None:
    """They run anywhere: also in a thread that is about to take an RLock, or to release it, which is its own already."""
    lock = threading.RLock()
    finalized = [0]

    class Cycle:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            with lock:
                finalized[0] += 1

    def work() -> None:
        for number in range(400):
            Cycle()
            with lock:
                keep = [[] for _ in range(5)]  # what makes the collector run
                if number % 3 == 0:
                    time.sleep(0)
            del keep

    threshold = gc.get_threshold()
    gc.freeze()  # what there is already would be gone through again and again
    gc.set_threshold(20, 5, 5)
    try:
        threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        t.note([thread.is_alive() for thread in threads])
    finally:
        gc.set_threshold(*threshold)
        gc.unfreeze()
    gc.collect()
    t.note(finalized[0], "unlocked" in repr(lock))


def _deep(depth: int, call: Any) -> Any:
    return _deep(depth - 1, call) if depth else call()


def case_release_at_the_end_of_the_recursion_limit(t: Any) -> None:
    """It has released the lock or it has done nothing; who waits gets it."""
    for name, make in MAKES.items():
        lost = []
        for left in range(12):
            lock = make()
            lock.acquire()
            got: list[bool] = []
            thread = threading.Thread(target=lambda lock=lock, got=got: got.append(lock.acquire(timeout=5)))
            thread.start()
            time.sleep(0.002)
            frame, used = sys._getframe(), 0
            while frame is not None:
                used += 1
                frame = frame.f_back  # type: ignore[assignment]
            try:
                _deep(sys.getrecursionlimit() - used - left, lock.release)
            except RecursionError:
                try:
                    lock.release()
                except RuntimeError as error:
                    lost.append((left, str(error)))
            thread.join()
            if got != [True]:
                lost.append((left, "the waiter has not got it"))
        t.note(name, lost)


def case_a_condition_over_a_plain_lock(t: Any) -> None:
    condition = threading.Condition(threading.Lock())
    seen: list[int] = []

    def wait() -> None:
        with condition:
            while len(seen) < 3:
                condition.wait(5)
            seen.append(-1)
            condition.notify_all()

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(3):
        with condition:
            seen.append(number)
            condition.notify_all()
    for thread in threads:
        thread.join(5)
    t.note(seen, [thread.is_alive() for thread in threads])


class _Tracked(type(threading.RLock())):  # type: ignore[misc]
    """Keeps attributes whose names are plausible ones, and makes itself without the C type's help."""

    def __init__(self, name: str) -> None:
        self.name = name

    def acquire(self, *args: Any, **kwargs: Any) -> bool:
        got = super().acquire(*args, **kwargs)
        if got:
            self._held = self._locked = self._flag = self._owner = self._count = "the caller's"
        return bool(got)

    def release(self) -> None:
        super().release()
        self._held = self._locked = self._flag = self._owner = self._count = None

    __enter__ = acquire

    def __exit__(self, *exc_info: object) -> None:
        self.release()


def case_a_subclass_with_attributes(t: Any) -> None:
    lock = _Tracked("ours")
    inside, most = [0], [0]

    def work() -> None:
        for _ in range(20):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0)
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    t.note(most, lock._held, lock.name)
    with lock:
        lock.__init__("theirs")  # type: ignore[misc]
        super(_Tracked, lock).__init__()
        t.note(lock._is_owned(), lock.name)
    t.outcome("release again", lambda: super(_Tracked, lock).release())


def case_a_condition_over_an_rlock_held_twice(t: Any) -> None:
    """The wait gives all of it up, and takes all of it again."""
    for depth in (1, 2, 3):
        for timeout in (None, 10, 0.01):
            t.note(depth, timeout, _waited(depth, timeout))


def _waited(depth: int, timeout: float | None) -> list[Any]:
    lock = threading.RLock()
    condition, waiting = threading.Condition(lock), threading.Event()
    said: list[Any] = []

    def others() -> None:
        thread = threading.Thread(target=lambda: said.append(lock.acquire(False) and lock.release() is None))
        thread.start()
        thread.join()

    def wait() -> None:
        for _ in range(depth):
            lock.acquire()
        waiting.set()
        said.append(condition.wait(timeout))
        for _ in range(depth):
            others()
            lock.release()
        others()
        try:
            lock.release()
        except RuntimeError as error:
            said.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    waiting.wait()
    if timeout != 0.01:
        with condition:  # it has been given up
            condition.notify()
    thread.join()
    return said


class Number:
    """With a value as an integer."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value

    def __bool__(self) -> bool:
        return bool(self.value)


class Undecided:
    def __bool__(self) -> bool:
        raise ZeroDivisionError("undecided")


def case_odd_arguments_of_acquire(t: Any) -> None:
    odd = ("x", "", None, 1.5, 2, 0, [], Number(0), Number(3), Undecided(), 2**40)
    for make in (threading.Lock, threading.RLock):
        for value in odd:
            lock: Any = make()
            t.outcome(f"{make.__name__} acquire {type(value).__name__}", lock.acquire, value)
            t.outcome("and a time", lock.acquire, value, 0)
            t.outcome("and a short time", make().acquire, value, 0.001)
        held: Any = make()
        held.acquire()
        for value in (0, Number(0)):

            thread = threading.Thread(target=t.outcome, args=("held by another", held.acquire, value))
            thread.start()
            thread.join()

        for value in (True, False, 1, 0):
            thread = threading.Thread(target=t.outcome, args=("held by another, with a time", held.acquire, value, 0.001))
            thread.start()
            thread.join()
