"""`multiprocessing` and process pools, with each way of starting."""

from __future__ import annotations

import logging
import multiprocessing
import multiprocessing.connection
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from programs import launcher, said

sys.path.append(os.path.dirname(os.path.abspath(__file__)))  # a spawned child imports this file by its name
warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of forks of a process with threads
fork = multiprocessing.get_context("fork")


def started(function: Any, *args: Any) -> threading.Thread:
    thread = threading.Thread(target=function, args=args)
    thread.start()
    return thread


# what children do


def exit_with(code: int) -> None:
    sys.exit(code)


def square(n: int) -> int:
    return n * n


def fail(text: str) -> None:
    raise ValueError(text)


def echo(connection: Any) -> None:
    while (got := connection.recv()) is not None:
        connection.send((got, multiprocessing.current_process().name, threading.active_count()))
    connection.close()


def put_all(jobs: Any, items: list[Any]) -> None:
    for item in items:
        jobs.put(item)


def double(jobs: Any, results: Any) -> None:
    for job in iter(jobs.get, None):
        results.put(job * 2)


def add(counter: Any, lock: Any, times: int) -> None:
    for _ in range(times):
        with lock:
            counter.value += 1


def wait_event(event: Any, results: Any) -> None:
    results.put(event.wait(10))


def wait_barrier(barrier: Any, results: Any) -> None:
    results.put(barrier.wait(10) >= 0)


def wait_condition(condition: Any, ready: Any, results: Any) -> None:
    with condition:
        ready.release()
        results.put(condition.wait(10))


def with_threads(results: Any) -> None:
    """A child that uses threads of its own."""
    got: list[int] = []
    threads = [threading.Thread(target=lambda n=n: (time.sleep(0.005), got.append(n))) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put(sorted(got))


def case_process(t: Any) -> None:
    for method in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        process = context.Process(target=exit_with, args=(3,), name="child", daemon=True)
        t.note(method, process.is_alive(), process.exitcode, process.pid, process.name, process.daemon)
        process.start()
        t.note(process.pid is not None, process.join(), process.is_alive(), process.exitcode)
        one, two = context.Pipe()
        process = context.Process(target=echo, args=(two,), name="echo")
        process.start()
        two.close()
        for thing in (1, "text", {"a": [1]}, b"x" * 200000):
            one.send(thing)
            got = one.recv()
            t.note(got[0] == thing, got[1:])
        one.send(None)
        process.join()
        t.outcome("at the end", one.recv)
        t.note(process.exitcode)
        process.close()
        t.outcome("closed", process.join)


def case_ends(t: Any) -> None:
    process = fork.Process(target=time.sleep, args=(30,))
    process.start()
    t.note(process.join(0.02), process.exitcode, process.is_alive())
    process.terminate()
    process.join()
    t.note(process.exitcode)
    process = fork.Process(target=time.sleep, args=(30,))
    process.start()
    threading.Timer(0.02, process.kill).start()
    process.join()
    t.note(process.exitcode)
    for target, args in ((os._exit, (7,)), (exit_with, (0,)), (exit_with, (5,)), (os.kill, (0, 0))):
        process = fork.Process(target=target, args=args)
        process.start()
        process.join()
        t.note(process.exitcode)
    t.outcome("start twice", process.start)
    sleeping = fork.Process(target=time.sleep, args=(0.05,))
    sleeping.start()
    t.note(multiprocessing.connection.wait([sleeping.sentinel], 5) == [sleeping.sentinel])
    sleeping.join()
    t.note(multiprocessing.active_children())


def case_started_by_threads(t: Any) -> None:
    results: list[Any] = []

    def work(n: int) -> None:
        one, two = fork.Pipe()
        process = fork.Process(target=echo, args=(two,), name=f"echo {n}")
        process.start()
        one.send(n)
        results.append(one.recv())
        one.send(None)
        process.join()

    threads = [started(work, n) for n in range(6)]
    for thread in threads:
        thread.join()
    t.note(sorted(results))


def case_queues(t: Any) -> None:
    for kind in ("Queue", "SimpleQueue", "JoinableQueue"):
        jobs, results = getattr(fork, kind)(), fork.SimpleQueue()
        workers = [fork.Process(target=double, args=(jobs, results)) for _ in range(2)]
        for worker in workers:
            worker.start()
        for n in range(20):
            jobs.put(n)
        got = sorted(results.get() for _ in range(20))
        for _ in workers:
            jobs.put(None)
        for worker in workers:
            worker.join()
        t.note(kind, got == [2 * n for n in range(20)], [worker.exitcode for worker in workers])
    jobs = fork.Queue(2)
    t.outcome("empty", jobs.get, False)
    t.outcome("empty, timeout", jobs.get, True, 0.02)
    jobs.put(1)
    jobs.put(2)
    t.outcome("full", jobs.put, 3, False)
    t.outcome("full, timeout", jobs.put, 3, True, 0.02)
    t.note(jobs.get(), jobs.get(timeout=1), jobs.qsize())
    jobs.close()
    jobs.join_thread()
    t.outcome("closed", jobs.put, 1)
    big = fork.Queue()
    process = fork.Process(target=put_all, args=(big, [b"x" * 300000] * 3))
    process.start()
    t.note([len(big.get()) for _ in range(3)], process.join(), process.exitcode)


def case_a_queue_between_threads(t: Any) -> None:
    jobs: Any = fork.JoinableQueue()
    got: list[int] = []

    def take() -> None:
        for job in iter(jobs.get, None):
            got.append(job)
            jobs.task_done()

    threads = [started(take) for _ in range(3)]
    for n in range(30):
        jobs.put(n)
    jobs.join()
    for _ in threads:
        jobs.put(None)
    for thread in threads:
        thread.join()
    t.note(sorted(got) == list(range(30)))
    with __import__("contextlib").suppress(ValueError):
        for _ in range(4):
            jobs.task_done()


def case_locks(t: Any) -> None:
    lock, rlock = fork.Lock(), fork.RLock()
    t.note(lock.acquire(), lock.acquire(False), lock.acquire(timeout=0.01), lock.acquire(True, -1))
    lock.release()
    t.outcome("too often", lock.release)
    t.note(rlock.acquire(), rlock.acquire(), rlock.release(), rlock.release())
    t.outcome("too often", rlock.release)
    t.note(repr(lock), repr(rlock))
    with rlock, lock:
        t.note(repr(lock), repr(rlock))
        seen: list[Any] = []
        thread = started(lambda: seen.extend([rlock.acquire(False), rlock.acquire(timeout=0.01), lock.acquire(False)]))
        thread.join()
        t.note(seen)

        def release_anothers() -> None:
            t.outcome("another's", rlock.release)

        started(release_anothers).join()
    semaphore = fork.BoundedSemaphore(2)
    t.note(semaphore.acquire(), semaphore.get_value(), semaphore.acquire(), semaphore.acquire(False), repr(semaphore))
    semaphore.release()
    semaphore.release()
    t.outcome("bounded", semaphore.release)
    counter = fork.Value("i", 0, lock=False)
    lock = fork.Lock()
    processes = [fork.Process(target=add, args=(counter, lock, 200)) for _ in range(3)]
    for process in processes:
        process.start()
    add(counter, lock, 200)
    for process in processes:
        process.join()
    t.note(counter.value)


module_mutexes = [fork.Lock(), fork.RLock(), fork.Semaphore(2), fork.BoundedSemaphore(1)]


def case_who_has_a_lock(t: Any) -> None:
    for one in [*module_mutexes, fork.Lock(), fork.RLock(), fork.Semaphore(2)]:
        taken, release = threading.Event(), threading.Event()

        def work(one: Any = one, taken: Any = taken, release: Any = release) -> None:
            with one:
                t.note(repr(one), one._semlock._is_mine(), one._semlock._count())
                taken.set()
                release.wait()
                t.note(one._semlock._is_mine(), one._semlock._count())

        thread = threading.Thread(target=work, name="holder")
        thread.start()
        taken.wait()
        t.note(repr(one), one._semlock._is_mine(), one._semlock._count())
        release.set()
        thread.join()
        t.note(repr(one), one._semlock._is_mine(), one._semlock._count())
    lock = fork.Lock()
    condition = fork.Condition(lock)
    with lock:
        thread = started(lambda: t.outcome("wait for another's", condition.wait, 0.01))
        thread.join()
        t.outcome("wait for one's own", condition.wait, 0.01)


def case_contention_of_threads(t: Any) -> None:
    lock, rlock = fork.Lock(), fork.RLock()
    log: list[int] = []

    def work(n: int) -> None:
        for _ in range(20):
            with rlock, rlock, lock:
                log.append(n)
                time.sleep(0)
                log.append(n)

    threads = [started(work, n) for n in range(3)]
    for thread in threads:
        thread.join()
    t.note(len(log), all(log[at] == log[at + 1] for at in range(0, len(log), 2)))


def case_events_and_more(t: Any) -> None:
    for context in (fork, multiprocessing.get_context("spawn")):
        event, results = context.Event(), context.Queue()
        processes = [context.Process(target=wait_event, args=(event, results)) for _ in range(2)]
        for process in processes:
            process.start()
        event.set()
        t.note([results.get(timeout=10) for _ in processes], event.is_set())
        for process in processes:
            process.join()
    event.clear()
    t.note(event.wait(0.01))
    condition, ready, results = fork.Condition(), fork.Semaphore(0), fork.Queue()
    processes = [fork.Process(target=wait_condition, args=(condition, ready, results)) for _ in range(2)]
    for process in processes:
        process.start()
        ready.acquire()
    with condition:
        condition.notify_all()
    t.note([results.get(timeout=10) for _ in processes])
    with condition:
        t.note(condition.wait(0.01))
    t.outcome("not held", condition.wait)
    for process in processes:
        process.join()
    barrier = fork.Barrier(3)
    processes = [fork.Process(target=wait_barrier, args=(barrier, results)) for _ in range(2)]
    for process in processes:
        process.start()
    t.note(barrier.wait(10) >= 0, [results.get(timeout=10) for _ in processes])
    for process in processes:
        process.join()


def case_pipes(t: Any) -> None:
    one, two = multiprocessing.Pipe()
    t.note(one.poll(), one.poll(0.01))
    threading.Timer(0.02, two.send, ("later",)).start()
    t.note(one.poll(5), one.recv())
    big = os.urandom(1 << 20)
    thread = started(two.send_bytes, big)
    t.note(one.recv_bytes() == big)
    thread.join()
    threading.Timer(0.02, two.send_bytes, (b"12345",)).start()
    t.note(one.recv_bytes_into(bytearray(10)))
    two.send_bytes(b"too long")
    t.outcome("too long", one.recv_bytes, 3)
    one, two = multiprocessing.Pipe(duplex=False)
    t.outcome("one way", one.send, 1)
    t.outcome("one way", two.recv)
    t.note(multiprocessing.connection.wait([one], 0.01))
    timer = threading.Timer(0.02, two.close)
    timer.start()
    t.outcome("the end", one.recv)
    timer.join()
    t.note(one.closed, two.closed)
    one.close()
    t.outcome("closed", one.recv)


def case_listener_and_client(t: Any) -> None:
    listener = multiprocessing.connection.Listener(authkey=b"secret")
    got: list[Any] = []

    def serve() -> None:
        with listener.accept() as connection:
            got.append(connection.recv())
            connection.send("answer")

    thread = started(serve)
    with multiprocessing.connection.Client(listener.address, authkey=b"secret") as client:
        client.send("question")
        t.note(client.recv())
    thread.join()
    listener.close()
    t.note(got)


def case_pool(t: Any) -> None:
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            t.note(pool.map(square, range(10)), pool.apply(square, (3,)), sorted(pool.imap_unordered(square, range(5))))
            t.note(pool.starmap(pow, [(2, 3), (3, 2)]), list(pool.imap(square, range(3))))
            t.outcome("exception", pool.apply, fail, ("bad",))
            result = pool.apply_async(time.sleep, (0.3,))
            t.outcome("timeout", result.get, 0.01)
            t.note(result.ready(), result.wait(5), result.ready(), result.successful())
            called: queue.SimpleQueue[Any] = queue.SimpleQueue()
            pool.apply_async(square, (4,), callback=called.put)
            t.note(called.get(timeout=5))
            pool.close()
            pool.join()
    pool = multiprocessing.pool.ThreadPool(3)
    t.note(pool.map(square, range(5)))
    pool.terminate()
    pool.join()


def case_pool_used_by_threads(t: Any) -> None:
    results: dict[int, Any] = {}
    with fork.Pool(2) as pool:

        def work(n: int) -> None:
            results[n] = pool.map(square, range(n, n + 3))

        threads = [started(work, n) for n in range(5)]
        for thread in threads:
            thread.join()
    t.note(sorted(results.items()))


def case_manager(t: Any) -> None:
    with fork.Manager() as manager:
        shared, items, lock, jobs, event = manager.dict(), manager.list(), manager.Lock(), manager.Queue(), manager.Event()

        def work(n: int) -> None:
            for _ in range(5):
                with lock:
                    shared["count"] = shared.get("count", 0) + 1
            items.append(n)
            jobs.put(n)
            event.wait()

        threads = [started(work, n) for n in range(3)]
        t.note(sorted(jobs.get(timeout=5) for _ in range(3)))
        event.set()
        for thread in threads:
            thread.join()
        t.note(shared.copy(), sorted(items))
        t.outcome("empty", jobs.get, timeout=0.02)


def case_process_pool_executor(t: Any) -> None:
    for method in ("fork", "spawn"):
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
            t.note(list(pool.map(square, range(10))), pool.submit(square, 5).result())
            try:
                pool.submit(fail, "bad").result()
            except ValueError as error:
                t.note(repr(error))
    with ProcessPoolExecutor(1, mp_context=fork) as pool:
        # since 3.15 the cause tells the exit code, if the child can be waited for already when its end of the pipe is closed
        died = pool.submit(os._exit, 3).exception()
        cause = str(died.__cause__ or "exit code 3")
        t.note("a worker dies", type(died), died.args, "exit code 3" in cause)
        t.outcome("broken", lambda: pool.submit(square, 1).result())


def case_children_with_threads(t: Any) -> None:
    for method in ("fork", "spawn"):
        context = multiprocessing.get_context(method)
        results = context.Queue()
        process = context.Process(target=with_threads, args=(results,))
        process.start()
        t.note(results.get(timeout=10), process.join(), process.exitcode)


def case_signals_and_logging(t: Any) -> None:
    process = fork.Process(target=signal.pause)
    process.start()
    os.kill(process.pid, signal.SIGTERM)
    process.join(10)
    t.note(process.exitcode, multiprocessing.get_logger().level == logging.NOTSET, multiprocessing.parent_process())
    t.outcome("no daemons of daemons", queue.Queue().get, False)


PROGRAM = """
import multiprocessing, os, sys, threading, time
def work(n):
    print("child", n, flush=True)
    if n == 2:
        raise ValueError("in a child")
if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    threading.Thread(target=time.sleep, args=(.05,)).start()
    for n in range(3):
        process = context.Process(target=work, args=(n,))
        process.start()
        process.join()
        print(process.exitcode, flush=True)
    context.Process(target=time.sleep, args=(.05,)).start()
    context.Process(target=time.sleep, args=(60,), daemon=True).start()
"""


def case_programs(t: Any) -> None:
    said(t, "children", PROGRAM, options=("-Wignore",))


METHODS = """
import concurrent.futures, multiprocessing, queue, sys, threading, time

def work(results, n):
    got = []
    threads = [threading.Thread(target=lambda i=i: (time.sleep(.01), got.append(i))) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put((n, sorted(got), multiprocessing.current_process().name, threading.current_thread().name))

def nested(n):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return sum(pool.map(abs, [n, -n])), multiprocessing.get_start_method()

def fails(n):
    raise LookupError(n)

if __name__ == "__main__":
    method = sys.argv[1]
    if method != "default":
        multiprocessing.set_start_method(method)
        try:
            multiprocessing.set_start_method("fork")
        except RuntimeError as error:
            print(error)
    print(multiprocessing.get_start_method(), multiprocessing.get_all_start_methods())
    results = multiprocessing.Queue()
    codes = []
    def start(n):
        process = multiprocessing.Process(target=work, args=(results, n), name=f"child {n}")
        process.start()
        process.join()
        codes.append(process.exitcode)
    threads = [threading.Thread(target=start, args=(n,)) for n in range(3)]  # begun at once, so is the server
    for thread in threads:
        thread.start()
    print(sorted(results.get(timeout=15) for _ in threads))
    for thread in threads:
        thread.join()
    print(codes, multiprocessing.active_children())
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        print(list(pool.map(nested, range(3))))
        try:
            pool.submit(fails, 1).result(10)
        except LookupError as error:
            print(repr(error))
    lock, ready = multiprocessing.Lock(), multiprocessing.Event()
    process = multiprocessing.Process(target=ready.wait)
    process.start()
    with lock:
        threading.Timer(.02, ready.set).start()
        process.join(15)
    print(process.exitcode, ready.is_set())
    multiprocessing.set_start_method("spawn", force=True)
    print(multiprocessing.get_start_method())
    with multiprocessing.Pool(1) as pool:
        print(pool.apply(nested, (4,)), multiprocessing.get_context("fork").get_start_method())
"""


def case_start_methods(t: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "program.py")
        with open(program, "w") as file:
            file.write(METHODS)
        for method in ("default", "fork", "forkserver", "spawn"):
            done = subprocess.run([*launcher("-Wignore"), program, method], capture_output=True, text=True, timeout=60)
            t.note(method, done.returncode, done.stdout.splitlines(), done.stderr.replace(folder, "").splitlines())
