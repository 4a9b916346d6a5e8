"""Calls that make a thread wait: time, threads, queues, futures, children, signals, file locks, processes, imports.

Each is called in three threads at once as `call(after)`; `after(seconds, function)` runs `function` in another thread.
"""

from __future__ import annotations

import _thread
import asyncio
import concurrent.futures
import contextlib
import fcntl
import importlib
import itertools
import multiprocessing
import multiprocessing.connection
import os
import queue
import sched
import select
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

After = Callable[[float, Callable[[], object]], None]
PAUSE = 0.3  # seconds that each call takes
CALLS: dict[str, Callable[[After], object]] = {}


def blocks(name: str) -> Callable[[Callable[[After], object]], Callable[[After], object]]:
    """Enter a call under `name`."""

    def enter(call: Callable[[After], object]) -> Callable[[After], object]:
        assert name not in CALLS
        CALLS[name] = call
        return call

    return enter


def _enter_simple() -> None:
    """Calls that end by a timeout of their own."""
    sleepers: dict[str, Callable[[], object]] = {
        "time.sleep": lambda: time.sleep(PAUSE),
        "threading.Lock.acquire(timeout)": lambda: _held().acquire(timeout=PAUSE),
        "threading.Event.wait(timeout)": lambda: threading.Event().wait(PAUSE),
        "threading.Semaphore.acquire(timeout)": lambda: threading.Semaphore(0).acquire(timeout=PAUSE),
        "queue.Queue.get(timeout)": lambda: _empty(queue.Queue()),
        "queue.LifoQueue.get(timeout)": lambda: _empty(queue.LifoQueue()),
        "queue.PriorityQueue.get(timeout)": lambda: _empty(queue.PriorityQueue()),
        "queue.SimpleQueue.get(timeout)": lambda: _empty(queue.SimpleQueue()),
        "select.select, nothing": lambda: select.select([], [], [], PAUSE),
        "select.poll, nothing": lambda: select.poll().poll(PAUSE * 1000),
        "selectors, nothing": lambda: selectors.SelectSelector().select(PAUSE),
        "os.system": lambda: os.system(f"sleep {PAUSE}"),
        "os.popen": lambda: os.popen(f"sleep {PAUSE}").close(),
        "subprocess.run": lambda: subprocess.run(["sleep", str(PAUSE)]),
        "subprocess.run, pipes": lambda: subprocess.run(["sleep", str(PAUSE)], capture_output=True),
        "subprocess.call, shell": lambda: subprocess.call(f"sleep {PAUSE}", shell=True),
        "os.spawnl(P_WAIT)": lambda: os.spawnlp(os.P_WAIT, "sleep", "sleep", str(PAUSE)),
        "asyncio.run": lambda: asyncio.run(asyncio.sleep(PAUSE)),
        "sched": _scheduled,
    }
    for name, call in sleepers.items():
        CALLS[name] = lambda after, call=call: call()  # type: ignore[misc]


def _held() -> Any:
    lock = threading.Lock()
    lock.acquire()
    return lock


def _empty(jobs: Any) -> None:
    with contextlib.suppress(queue.Empty):
        jobs.get(timeout=PAUSE)


def _scheduled() -> None:
    scheduler = sched.scheduler()
    scheduler.enter(PAUSE, 1, lambda: None)
    scheduler.run()


_enter_simple()


# threads and queues


@blocks("_thread.lock.acquire")
def _(after: After) -> None:
    lock = _thread.allocate_lock()
    lock.acquire()
    after(PAUSE, lock.release)
    lock.acquire()


@blocks("with threading.Lock")
def _(after: After) -> None:
    lock = threading.Lock()
    lock.acquire()
    after(PAUSE, lock.release)
    with lock:
        pass


@blocks("threading.RLock.acquire")
def _(after: After) -> None:
    lock, owner = threading.RLock(), threading.Event()

    def hold() -> None:
        with lock:
            owner.set()
            time.sleep(PAUSE)

    thread = threading.Thread(target=hold)
    thread.start()
    owner.wait()
    with lock:
        pass
    thread.join()


@blocks("threading.Condition.wait")
def _(after: After) -> None:
    condition = threading.Condition()

    def notify() -> None:
        with condition:
            condition.notify()

    with condition:
        after(PAUSE, notify)
        condition.wait()


@blocks("threading.Condition.wait_for(timeout)")
def _(after: After) -> None:
    condition = threading.Condition()
    with condition:
        condition.wait_for(lambda: False, PAUSE)


@blocks("threading.Event.wait")
def _(after: After) -> None:
    event = threading.Event()
    after(PAUSE, event.set)
    event.wait()


@blocks("threading.Semaphore.acquire")
def _(after: After) -> None:
    semaphore = threading.BoundedSemaphore()
    semaphore.acquire()
    after(PAUSE, semaphore.release)
    semaphore.acquire()


@blocks("threading.Barrier.wait")
def _(after: After) -> None:
    barrier = threading.Barrier(2)
    after(PAUSE, barrier.wait)
    barrier.wait()


@blocks("threading.Thread.join")
def _(after: After) -> None:
    event = threading.Event()
    thread = threading.Thread(target=event.wait)
    thread.start()
    after(PAUSE, event.set)
    thread.join()


@blocks("threading.Thread.join(timeout)")
def _(after: After) -> None:
    event = threading.Event()
    thread = threading.Thread(target=event.wait)
    thread.start()
    thread.join(PAUSE)
    event.set()


@blocks("threading.Timer.join")
def _(after: After) -> None:
    timer = threading.Timer(PAUSE, lambda: None)
    timer.start()
    timer.join()


@blocks("queue.Queue.get")
def _(after: After) -> None:
    jobs: queue.Queue[int] = queue.Queue()
    after(PAUSE, lambda: jobs.put(1))
    jobs.get()


@blocks("queue.Queue.put")
def _(after: After) -> None:
    jobs: queue.Queue[int] = queue.Queue(1)
    jobs.put(1)
    after(PAUSE, jobs.get)
    jobs.put(2)


@blocks("queue.Queue.join")
def _(after: After) -> None:
    jobs: queue.Queue[int] = queue.Queue()
    jobs.put(1)
    after(PAUSE, jobs.task_done)
    jobs.join()


@blocks("queue.SimpleQueue.get")
def _(after: After) -> None:
    jobs: queue.SimpleQueue[int] = queue.SimpleQueue()
    after(PAUSE, lambda: jobs.put(1))
    jobs.get()


@blocks("concurrent.futures.Future.result")
def _(after: After) -> None:
    future: concurrent.futures.Future[int] = concurrent.futures.Future()
    after(PAUSE, lambda: future.set_result(1))
    future.result()


@blocks("concurrent.futures.Future.exception(timeout)")
def _(after: After) -> None:
    with contextlib.suppress(TimeoutError):
        concurrent.futures.Future[int]().exception(PAUSE)


@blocks("concurrent.futures.wait")
def _(after: After) -> None:
    future: concurrent.futures.Future[int] = concurrent.futures.Future()
    after(PAUSE, lambda: future.set_result(1))
    concurrent.futures.wait([future])


@blocks("concurrent.futures.as_completed")
def _(after: After) -> None:
    future: concurrent.futures.Future[int] = concurrent.futures.Future()
    after(PAUSE, lambda: future.set_result(1))
    list(concurrent.futures.as_completed([future]))


@blocks("concurrent.futures.ThreadPoolExecutor.map")
def _(after: After) -> None:
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(time.sleep, [PAUSE] * 3))


@blocks("concurrent.futures.ThreadPoolExecutor.shutdown")
def _(after: After) -> None:
    pool = concurrent.futures.ThreadPoolExecutor(1)
    pool.submit(time.sleep, PAUSE)
    pool.shutdown()


@blocks("asyncio.run_coroutine_threadsafe")
def _(after: After) -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(asyncio.sleep(PAUSE), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@blocks("asyncio.to_thread")
def _(after: After) -> None:
    asyncio.run(asyncio.to_thread(time.sleep, PAUSE))


# children


def _children(name: str, wait: Callable[[int], object]) -> None:
    @blocks(name)
    def _(after: After) -> None:
        pid = os.posix_spawnp("sleep", ["sleep", str(PAUSE)], os.environ)
        wait(pid)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


for _name, _wait in {
    "os.waitpid": lambda pid: os.waitpid(pid, 0),
    "os.waitpid(WUNTRACED)": lambda pid: os.waitpid(pid, os.WUNTRACED),
    "os.wait4": lambda pid: os.wait4(pid, 0),
    "os.waitid": lambda pid: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT),
    "os.waitid, any": lambda pid: os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT),
}.items():
    _children(_name, _wait)


@blocks("os.wait")
def _(after: After) -> None:
    os.posix_spawnp("sleep", ["sleep", str(PAUSE)], os.environ)
    os.wait()


@blocks("os.wait3")
def _(after: After) -> None:
    os.posix_spawnp("sleep", ["sleep", str(PAUSE)], os.environ)
    os.wait3(0)


@blocks("subprocess.Popen.wait")
def _(after: After) -> None:
    subprocess.Popen(["sleep", str(PAUSE)]).wait()


@blocks("subprocess.Popen.wait(timeout)")
def _(after: After) -> None:
    process = subprocess.Popen(["sleep", "5"])
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(PAUSE)
    process.kill()
    process.wait()


@blocks("subprocess.Popen.communicate")
def _(after: After) -> None:
    subprocess.Popen(["sleep", str(PAUSE)], stdin=-1, stdout=-1, stderr=-1).communicate(b"x")


@blocks("subprocess.Popen.stdout.readline")
def _(after: After) -> None:
    with subprocess.Popen(f"sleep {PAUSE}; echo x", shell=True, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()


# signals


@blocks("signal.sigtimedwait")
def _(after: After) -> None:
    signal.sigtimedwait({signal.SIGUSR2}, PAUSE)


# file locks


def _locks(name: str, function: str, take: Callable[[Any], object]) -> None:
    @blocks(name)
    def _(after: After) -> None:
        with tempfile.NamedTemporaryFile() as file:
            source = f"import fcntl, time; file = open({file.name!r}, 'r+b'); fcntl.{function}(file, fcntl.LOCK_EX);"
            source += f"print(flush=True); time.sleep({PAUSE})"
            with subprocess.Popen([sys.executable, "-S", "-c", source], stdout=subprocess.PIPE) as holder:
                assert holder.stdout is not None
                holder.stdout.read(1)
                take(file)


_locks("fcntl.flock", "flock", lambda file: fcntl.flock(file, fcntl.LOCK_EX))
_locks("fcntl.lockf", "lockf", lambda file: fcntl.lockf(file, fcntl.LOCK_EX))
_locks("os.lockf", "lockf", lambda file: os.lockf(file.fileno(), os.F_LOCK, 0))


# multiprocessing


@blocks("multiprocessing.Process.join")
def _(after: After) -> None:
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(PAUSE,))
    process.start()
    process.join()


@blocks("multiprocessing.Lock.acquire")
def _(after: After) -> None:
    lock = multiprocessing.get_context("fork").Lock()
    lock.acquire()
    after(PAUSE, lock.release)
    lock.acquire()


@blocks("multiprocessing.Semaphore.acquire(timeout)")
def _(after: After) -> None:
    multiprocessing.get_context("fork").Semaphore(0).acquire(timeout=PAUSE)


@blocks("multiprocessing.Event.wait")
def _(after: After) -> None:
    event = multiprocessing.get_context("fork").Event()
    after(PAUSE, event.set)
    event.wait()


@blocks("multiprocessing.Pipe.recv")
def _(after: After) -> None:
    one, two = multiprocessing.Pipe()
    after(PAUSE, lambda: one.send("x"))
    two.recv()


@blocks("multiprocessing.Pipe.poll")
def _(after: After) -> None:
    one, two = multiprocessing.Pipe()
    two.poll(PAUSE)
    one.close()


@blocks("multiprocessing.connection.wait")
def _(after: After) -> None:
    one, two = multiprocessing.Pipe()
    after(PAUSE, one.close)
    multiprocessing.connection.wait([two])


@blocks("multiprocessing.Queue.get")
def _(after: After) -> None:
    jobs = multiprocessing.get_context("fork").Queue()
    after(PAUSE, lambda: jobs.put("x"))
    jobs.get()


@blocks("multiprocessing.SimpleQueue.get")
def _(after: After) -> None:
    jobs = multiprocessing.get_context("fork").SimpleQueue()
    after(PAUSE, lambda: jobs.put("x"))
    jobs.get()


# imports


_numbers = itertools.count()


@blocks("importlib.import_module")
def _(after: After) -> None:
    """A second thread imports a module whose import goes on."""
    name = f"slow_module_{next(_numbers)}"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, f"{name}.py").write_text(f"import time\ntime.sleep({PAUSE})\n")
        sys.path.append(folder)
        try:
            importlib.invalidate_caches()
            thread = threading.Thread(target=importlib.import_module, args=(name,))
            thread.start()
            importlib.import_module(name)
            thread.join()
        finally:
            sys.path.remove(folder)
            sys.modules.pop(name, None)
