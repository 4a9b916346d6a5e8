"""Queues, timers, barriers, semaphores, conditions, schedulers, and what Python keeps for each thread."""

from __future__ import annotations

import contextvars
import decimal
import queue
import sched
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from programs import said

Kinds = (queue.Queue, queue.LifoQueue, queue.PriorityQueue)


def started(function: Callable[..., object], *args: Any, **kwargs: Any) -> threading.Thread:
    thread = threading.Thread(target=function, args=args, **kwargs)
    thread.start()
    return thread


def case_order_and_limits(t: Any) -> None:
    for kind in Kinds:
        jobs: Any = kind(3)
        for n in (2, 3, 1):
            jobs.put(n)
        t.note(kind.__name__, jobs.full(), jobs.empty(), jobs.qsize(), jobs.maxsize, jobs.unfinished_tasks)
        t.outcome("full", jobs.put, 4, False)
        t.outcome("full, nowait", jobs.put_nowait, 4)
        t.outcome("full, timeout", jobs.put, 4, True, 0.01)
        t.outcome("negative", jobs.put, 4, True, -1)
        t.note([jobs.get() for _ in range(3)])
        t.outcome("empty", jobs.get, False)
        t.outcome("empty, nowait", jobs.get_nowait)
        t.outcome("empty, timeout", jobs.get, True, 0.01)
        t.outcome("negative", jobs.get, True, -1)
        for _ in range(3):
            jobs.task_done()
        t.outcome("once too often", jobs.task_done)
        t.outcome("join", jobs.join)
        t.outcome("str", jobs.get, timeout="x")


def case_simple_queue(t: Any) -> None:
    jobs: Any = queue.SimpleQueue()
    t.outcome("empty", jobs.get, False)
    t.outcome("empty, nowait", jobs.get_nowait)
    t.outcome("empty, timeout", jobs.get, timeout=0.01)
    t.outcome("timeout 0", jobs.get, True, 0)
    t.outcome("negative", jobs.get, timeout=-1)
    t.outcome("put", jobs.put, 1, False, 3)
    t.outcome("put, keywords", jobs.put, item=2, block=True, timeout=None)
    t.outcome("put_nowait", jobs.put_nowait, item=3)
    t.note(jobs.qsize(), jobs.empty(), jobs.get(), jobs.get(block=True), jobs.get_nowait(), type(jobs).__module__)
    t.note(queue.SimpleQueue[int].__args__, type(jobs).__name__, type(jobs).__qualname__)


def case_producers_and_consumers(t: Any) -> None:
    for make in (*(lambda kind=kind: kind(5) for kind in Kinds), queue.SimpleQueue):
        jobs: Any = make()
        got: list[int] = []

        def consume(jobs: Any = jobs, got: list[int] = got) -> None:
            while (item := jobs.get()) < 10**6:
                got.append(item)
                if hasattr(jobs, "task_done"):
                    jobs.task_done()

        def produce(base: int, jobs: Any = jobs) -> None:
            for n in range(100):
                jobs.put(base + n)

        consumers = [started(consume) for _ in range(4)]
        producers = [started(produce, base) for base in (0, 1000, 2000)]
        for thread in producers:
            thread.join()
        if hasattr(jobs, "join"):
            jobs.join()
        for _ in consumers:
            jobs.put(10**6)
        for thread in consumers:
            thread.join()
        t.note(len(got), len(set(got)), sum(got))


def case_shutdown(t: Any) -> None:
    if not hasattr(queue, "ShutDown"):
        t.note("since 3.13")
        return
    for immediate in (False, True):
        jobs: Any = queue.Queue()
        seen: list[str] = []

        def get(jobs: Any = jobs, seen: list[str] = seen) -> None:
            try:
                jobs.get()
            except queue.ShutDown as error:  # type: ignore[attr-defined]
                seen.append(repr(error))

        threads = [started(get) for _ in range(3)]
        while len(jobs.not_empty._waiters) < 3:
            time.sleep(0.001)
        jobs.shutdown(immediate)
        for thread in threads:
            thread.join()
        t.note(seen)
        t.outcome("put", jobs.put, 1)
        t.outcome("get", jobs.get)
        filled: Any = queue.Queue()
        filled.put(1)
        filled.shutdown(immediate)
        t.outcome("what is left", filled.get)
        t.outcome("then", filled.get, timeout=1)


def case_timer(t: Any) -> None:
    seen: list[Any] = []
    timer = threading.Timer(0.01, seen.append, ["fired"])
    t.note(timer.daemon, type(timer).__name__, timer.interval)
    timer.start()
    timer.join()
    timer = threading.Timer(10, seen.append, ["never"])
    timer.start()
    timer.cancel()
    timer.join()
    timer = threading.Timer(0, lambda **kwargs: seen.append(kwargs), kwargs={"a": 1})
    timer.start()
    timer.join()
    t.note(seen)


def case_barrier(t: Any) -> None:
    actions: list[str] = []
    barrier = threading.Barrier(4, action=lambda: actions.append("action"))
    got: list[int] = []

    def work() -> None:
        for _ in range(3):
            got.append(barrier.wait())

    threads = [started(work) for _ in range(4)]
    for thread in threads:
        thread.join()
    t.note(sorted(got), actions, barrier.n_waiting, barrier.parties, barrier.broken)
    errors: list[str] = []

    def broken() -> None:
        try:
            barrier.wait()
        except threading.BrokenBarrierError:
            errors.append("broken")

    threads = [started(broken) for _ in range(2)]
    while barrier.n_waiting < 2:
        time.sleep(0.001)
    barrier.abort()
    for thread in threads:
        thread.join()
    t.note(errors, barrier.broken)
    barrier.reset()
    t.note(barrier.broken)
    t.outcome("timeout", barrier.wait, 0.01)
    t.outcome("none", threading.Barrier, 0)


def case_condition_and_semaphore(t: Any) -> None:
    condition, order = threading.Condition(), []

    def wait(n: int) -> None:
        with condition:
            condition.wait()
            order.append(n)

    threads = []
    for n in range(4):
        threads.append(started(wait, n))
        while True:
            with condition:
                if len(condition._waiters) == n + 1:  # type: ignore[attr-defined]
                    break
    for count in (1, 2):
        with condition:
            condition.notify(count)
        while len(order) < {1: 1, 2: 3}[count]:
            time.sleep(0.001)
    with condition:
        condition.notify_all()
    for thread in threads:
        thread.join()
    t.note(order[0], sorted(order))
    t.outcome("not held", condition.wait)
    t.outcome("not held", condition.notify)
    semaphore = threading.Semaphore(2)
    t.note([semaphore.acquire(blocking=False) for _ in range(3)])
    semaphore.release(2)
    t.outcome("release 0", semaphore.release, 0)
    t.outcome("bounded", threading.BoundedSemaphore(1).release)
    t.outcome("negative", threading.Semaphore, -1)
    t.outcome("timeout without blocking", semaphore.acquire, False, 1)


def case_sched(t: Any) -> None:
    scheduler, seen = sched.scheduler(), []
    scheduler.enter(0.02, 1, seen.append, ("second",))
    scheduler.enter(0.01, 1, seen.append, ("first",))
    scheduler.enter(0.02, 0, seen.append, ("before the second",))
    cancelled = scheduler.enter(5, 1, seen.append, ("never",))
    scheduler.cancel(cancelled)
    t.note(scheduler.empty(), len(scheduler.queue))
    beside = started(time.sleep, 0.01)
    t.note(scheduler.run(), scheduler.empty(), seen[0], len(seen))
    beside.join()


def case_sleep_arguments(t: Any) -> None:
    odd = (-1, -0.5, float("nan"), float("inf"), 1e30, "x", None, 1 << 70, decimal.Decimal("0.001"), 1j, object)
    for seconds in (0, 0.0, -0.0, True, False, 1e-9, *odd):
        t.outcome(f"sleep {seconds!r}", time.sleep, seconds)
    t.outcome("nothing", time.sleep)
    t.outcome("two", time.sleep, 1, 2)
    t.outcome("keyword", time.sleep, seconds=0)
    begin = time.monotonic()
    time.sleep(0.02)
    t.note(0.02 <= time.monotonic() - begin < 1, repr(time.sleep), time.sleep.__name__)


def case_state_of_each_thread(t: Any) -> None:
    """Context variables, decimal contexts, the exception being handled, `local`, the recursion limit's depth."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="default")
    variable.set("of main")
    local = threading.local()
    local.name = "of main"
    decimal.getcontext().prec = 11
    barrier = threading.Barrier(3)
    seen: dict[str, Any] = {}

    def work(name: str, precision: int) -> None:
        before = (variable.get(), hasattr(local, "name"), decimal.getcontext().prec, sys.exc_info()[0])
        variable.set(name)
        local.name = name
        decimal.getcontext().prec = precision
        try:
            raise ValueError(name)
        except ValueError:
            barrier.wait()
            time.sleep(0.001)
            after = (variable.get(), local.name, decimal.getcontext().prec, str(sys.exc_info()[1]), str(decimal.Decimal(1) / 3))
            try:
                raise KeyError("inner")
            except KeyError as error:
                after += (repr(error.__context__),)
        seen[name] = (before, after, sys.exc_info()[0])

    threads = [started(work, f"thread {n}", 3 + n) for n in range(2)]
    try:
        raise LookupError("of main")
    except LookupError:
        barrier.wait()
        for thread in threads:
            thread.join()
        t.note(repr(sys.exc_info()[1]), variable.get(), local.name, decimal.getcontext().prec)
    t.note(sorted(seen.items()))
    decimal.getcontext().prec = 28


def case_recursion(t: Any) -> None:
    """Each thread has the whole depth for itself."""
    barrier = threading.Barrier(3)
    depths: list[bool] = []

    def down(n: int) -> int:
        if n == 0:
            barrier.wait()
            return 0
        return down(n - 1) + 1

    def work() -> None:
        depths.append(down(600) == 600)

    threads = [started(work) for _ in range(3)]
    for thread in threads:
        thread.join()

    def endless() -> None:
        endless()

    t.note(depths)
    t.outcome("endless", endless)


def case_current_frames(t: Any) -> None:
    ready, release = threading.Event(), threading.Event()

    def waiting_here() -> None:
        ready.set()
        release.wait()

    thread = started(waiting_here)
    ready.wait()
    frames = sys._current_frames()
    names = []
    frame: Any = frames[thread.ident]  # type: ignore[index]
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    me: Any = frames[threading.get_ident()]
    t.note("waiting_here" in names, me.f_code.co_name, me is sys._getframe())
    release.set()
    thread.join()
    t.note(thread.ident in sys._current_frames())


def case_sqlite(t: Any) -> None:
    shared = sqlite3.connect(":memory:", check_same_thread=False)
    shared.execute("create table numbers (n)")
    lock = threading.Lock()

    def insert(n: int) -> None:
        with lock, shared:
            shared.execute("insert into numbers values (?)", (n,))

    threads = [started(insert, n) for n in range(10)]
    for thread in threads:
        thread.join()
    t.note(shared.execute("select count(*), sum(n) from numbers").fetchone())
    shared.close()


EXITS = {
    "daemon threads": """
        import atexit, threading, time
        atexit.register(print, "atexit")
        def work():
            try:
                time.sleep(60)
            finally:
                print("never")
        threading.Thread(target=work, daemon=True).start()
        print("main ends")
        """,
    "threads are joined": """
        import atexit, threading, time
        atexit.register(print, "atexit 1")
        atexit.register(print, "atexit 2")
        ends = threading.Event()
        def work():
            ends.wait()
            time.sleep(.05)
            print("worked")
        threading.Thread(target=work).start()
        print("main ends")
        ends.set()
        """,
    "a thread started by a thread at the end": """
        import threading, time
        said = threading.Event()
        def inner():
            said.wait()
            time.sleep(.02)
            print("inner")
        def outer():
            time.sleep(.02)
            threading.Thread(target=inner).start()
            print("outer")
            said.set()
        threading.Thread(target=outer).start()
        """,
    "an exception in a thread": """
        import threading
        def work():
            raise ValueError("in a thread")
        thread = threading.Thread(target=work, name="worker")
        thread.start()
        thread.join()
        print("main goes on")
        """,
    "sys.exit in a thread": """
        import sys, threading
        thread = threading.Thread(target=sys.exit, args=(3,))
        thread.start()
        thread.join()
        print("main goes on")
        """,
    "sys.exit in main, thread goes on": """
        import sys, threading, time
        threading.Thread(target=lambda: (time.sleep(.05), print("thread ended"))).start()
        sys.exit("with a text")
        """,
    "exception in main, thread goes on": """
        import threading, time
        threading.Thread(target=lambda: (time.sleep(.05), print("thread ended", flush=True))).start()
        raise ValueError("in main")
        """,
    "os._exit in a thread": """
        import os, threading, time
        threading.Thread(target=os._exit, args=(5,)).start()
        time.sleep(5)
        """,
    "threads in atexit": """
        import atexit, threading
        event = threading.Event()
        def late():
            print("waited", event.wait(.01), threading.active_count())
        atexit.register(late)
        threading.Thread(target=event.wait, daemon=True).start()
        """,
    "main thread is found from a thread at the end": """
        import threading, time
        def work():
            threading.main_thread().join()
            print("main has ended", threading.main_thread().is_alive())
        threading.Thread(target=work).start()
        """,
}


def case_exits(t: Any) -> None:
    for name, source in EXITS.items():
        if name.startswith("a thread started") and sys.version_info[:2] == (3, 12):
            continue  # 3.12 refuses it from some micro release to some other
        said(t, name, source)
