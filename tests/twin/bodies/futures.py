"""`concurrent.futures`: thread pools and futures."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import (
    ALL_COMPLETED,
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    Future,
    ThreadPoolExecutor,
    as_completed,
    wait,
)
from typing import Any

from programs import said


def fail(text: str) -> None:
    raise ValueError(text)


def case_submit(t: Any) -> None:
    with ThreadPoolExecutor(max_workers=3, thread_name_prefix="pool") as pool:
        futures = [pool.submit(pow, n, 2) for n in range(10)]
        t.note([future.result() for future in futures], futures[0].done(), futures[0].running(), futures[0].cancelled())
        t.note(pool.submit(lambda: threading.current_thread().name.rpartition("_")[0]).result())
        t.outcome("exception", pool.submit(fail, "bad").result)
        t.note(repr(pool.submit(fail, "bad").exception()))
        t.outcome("keywords", pool.submit(dict, a=1).result, timeout=5)
        t.outcome("no function", pool.submit)
        t.outcome("not callable", pool.submit(3).result)  # type: ignore[arg-type]
    t.outcome("after the shutdown", pool.submit, pow, 1, 1)
    t.outcome("bad number", ThreadPoolExecutor, 0)
    t.outcome("bad initializer", ThreadPoolExecutor, initializer=3)


def case_map(t: Any) -> None:
    with ThreadPoolExecutor(4) as pool:
        t.note(list(pool.map(pow, [1, 2, 3], [2, 2, 2])), list(pool.map(str, [])))
        results = pool.map(fail, ["first", "second"])
        t.outcome("exception", next, results)
        t.outcome("then", next, results)
        release = threading.Event()
        results = pool.map(lambda _: release.wait(), [1, 2], timeout=0.05)
        t.outcome("timeout", next, results)
        release.set()
        t.outcome("several at once", lambda: list(pool.map(lambda barrier: barrier.wait() >= 0, [threading.Barrier(4)] * 4)))


def case_timeouts_and_cancel(t: Any) -> None:
    release = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        running, waiting = pool.submit(release.wait), pool.submit(pow, 2, 3)
        while not running.running():
            time.sleep(0.001)
        t.outcome("result", running.result, 0.01)
        t.outcome("exception", running.exception, timeout=0.01)
        t.note(running.cancel(), waiting.cancel(), waiting.cancelled(), waiting.done())
        t.outcome("result of a cancelled one", waiting.result)
        t.outcome("exception of a cancelled one", waiting.exception)
        t.note(repr(waiting).split(" state=")[1], repr(running).split(" state=")[1])
        release.set()
        t.note(running.result())


def case_wait(t: Any) -> None:
    events = [threading.Event() for _ in range(3)]
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(event.wait) for event in events]
        done, pending = wait(futures, timeout=0.02)
        t.note(len(done), len(pending))
        events[0].set()
        done, pending = wait(futures, return_when=FIRST_COMPLETED)
        t.note(len(done), len(pending), futures[0] in done)
        failing = pool.submit(fail, "bad")
        done, pending = wait([*futures, failing], return_when=FIRST_EXCEPTION)
        t.note(failing in done, len(pending))
        threading.Timer(0.01, events[1].set).start()
        threading.Timer(0.02, events[2].set).start()
        t.note([futures.index(future) for future in as_completed(futures)][1:])
        done, pending = wait(futures, return_when=ALL_COMPLETED)
        t.note(len(done), len(pending), list(as_completed([])))
        blocked = pool.submit(threading.Event().wait, 0.2)
        t.outcome("as_completed", lambda: list(as_completed([blocked], timeout=0.01)))
        t.outcome("bad return_when", wait, [blocked], return_when="x")


def case_initializer(t: Any) -> None:
    local = threading.local()

    def begin(value: int) -> None:
        local.value = value

    with ThreadPoolExecutor(2, initializer=begin, initargs=(7,)) as pool:
        t.note([pool.submit(lambda: local.value).result() for _ in range(4)])
    logger = __import__("logging").getLogger("concurrent.futures")
    logger.disabled = True
    with ThreadPoolExecutor(1, initializer=fail, initargs=("at the start",)) as pool:
        t.outcome("broken", pool.submit(pow, 1, 1).result)
        t.outcome("and again", lambda: pool.submit(pow, 1, 1))
    logger.disabled = False


def case_shutdown(t: Any) -> None:
    release, seen = threading.Event(), []
    pool = ThreadPoolExecutor(1)
    first, others = pool.submit(release.wait), [pool.submit(seen.append, n) for n in range(3)]
    pool.shutdown(wait=False)
    t.outcome("submit", pool.submit, pow, 1, 1)
    release.set()
    t.note(first.result(), [other.result() for other in others], seen)
    release = threading.Event()
    pool = ThreadPoolExecutor(1)
    first, second = pool.submit(release.wait), pool.submit(pow, 1, 1)
    while not first.running():
        time.sleep(0.001)
    pool.shutdown(wait=False, cancel_futures=True)
    t.note(first.running(), second.cancelled())
    release.set()
    pool.shutdown()
    t.note(first.result())


def case_plain_futures(t: Any) -> None:
    future: Future[Any] = Future()
    calls: list[Any] = []
    future.add_done_callback(lambda one: calls.append(one.result()))
    threading.Timer(0.01, future.set_result, (3,)).start()
    t.note(future.result(5))
    t.outcome("twice", future.set_result, 4)
    future.add_done_callback(lambda one: calls.append("at once"))
    deadline = time.monotonic() + 5
    while len(calls) < 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    t.note(sorted(calls, key=str))
    future = Future()
    t.note(future.set_running_or_notify_cancel(), future.cancel())
    future.set_exception(KeyError("k"))
    t.outcome("result", future.result)
    future = Future()
    t.note(future.cancel(), future.set_running_or_notify_cancel())


def case_many_waiters(t: Any) -> None:
    future: Future[int] = Future()
    got: list[int] = []
    threads = [threading.Thread(target=lambda: got.append(future.result())) for _ in range(20)]
    for thread in threads:
        thread.start()
    future.set_result(1)
    for thread in threads:
        thread.join()
    t.note(sum(got))


def case_pools_in_threads(t: Any) -> None:
    results: dict[int, Any] = {}

    def work(n: int) -> None:
        with ThreadPoolExecutor(3) as pool:
            results[n] = list(pool.map(lambda x: x * n, range(5)))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    t.note(sorted(results.items()))


def case_idle_threads_are_used_again(t: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        names = set()
        for _ in range(10):
            names.add(pool.submit(lambda: threading.current_thread().name).result())
            time.sleep(0.002)
        t.note(len(names), len(pool._threads))  # type: ignore[attr-defined]


def case_at_exit(t: Any) -> None:
    said(
        t, "the interpreter waits for what was submitted",
        """
        import atexit, concurrent.futures, sys, time
        atexit.register(print, "atexit")
        pool = concurrent.futures.ThreadPoolExecutor(2)
        for n in range(3):
            pool.submit(lambda: (time.sleep(.02), sys.stdout.write("worked\\n")))  # print writes the end of the line apart
        print("main ends")
        """,
    )  # fmt: skip
    said(
        t, "submitting when it is too late",
        """
        import atexit, concurrent.futures
        pool = concurrent.futures.ThreadPoolExecutor(2)
        def late():
            try:
                pool.submit(print)
            except RuntimeError as error:
                print(error)
        atexit.register(late)
        """,
    )  # fmt: skip
    with contextlib.suppress(ValueError):
        fail("unused")
