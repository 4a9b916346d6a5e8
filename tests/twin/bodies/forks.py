"""Forks: what the child has, and has not, of its parent's threads."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

from programs import said

warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of forks of a process with threads


def in_child(function: Callable[[], object]) -> tuple[str, int]:
    """Call `function` in a forked child; what it returned, by its repr, and the exit code."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            os.close(reader)
            try:
                text = repr(function())
            except BaseException as error:
                text = f"{type(error).__name__}: {error}"
            os.write(writer, text.encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    parts = []
    while part := os.read(reader, 65536):
        parts.append(part)
    os.close(reader)
    _, status = os.waitpid(pid, 0)
    return b"".join(parts).decode(), os.waitstatus_to_exitcode(status)


@contextlib.contextmanager
def others(count: int = 3) -> Any:
    """Threads that wait while the case runs."""
    release = threading.Event()
    threads = [threading.Thread(target=release.wait, name=f"other-{n}") for n in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        release.set()
        for thread in threads:
            thread.join()


def case_threads_of_the_child(t: Any) -> None:
    with others() as threads:
        t.note(threading.active_count())

        def look() -> object:
            main = threading.main_thread()
            return (
                threading.active_count(), [thread.name for thread in threading.enumerate()], main.name,
                main is threading.current_thread(), main.ident == threading.get_ident(),
                [thread.is_alive() for thread in threads],
            )  # fmt: skip

        t.note(in_child(look))
        t.note(threading.active_count())


def case_a_thread_made_before_the_fork(t: Any) -> None:
    if (3, 13) <= sys.version_info < (3, 14):
        t.note("not compared")  # it is refused, up to 3.13.3
        return

    def work() -> None:
        time.sleep(0.1)
        done.append(threading.current_thread().name)

    done: list[str] = []
    thread = threading.Thread(target=work, name="made early")

    def run() -> object:
        thread.start()
        alive = thread.is_alive()
        thread.join()
        return alive, done, thread.is_alive(), threading.active_count()

    t.note(in_child(run))
    t.note(run())


def case_child_waits(t: Any) -> None:
    with others():

        def wait() -> object:
            time.sleep(0.01)
            reader, writer = os.pipe()
            thread = threading.Thread(target=lambda: (time.sleep(0.01), os.write(writer, b"from a thread of the child")))
            thread.start()
            got = os.read(reader, 100)
            thread.join()
            return got, threading.active_count()

        t.note(in_child(wait))


def case_child_of_one_that_had_deadlines(t: Any) -> None:
    """What the parent waited for, and got in time, does not end the child's waits, nor the child."""
    jobs: Any = queue.Queue()
    lock, event = threading.Lock(), threading.Event()
    for _ in range(3):
        jobs.put(1)
        lock.acquire()
        feeder = threading.Thread(target=lambda: (time.sleep(0.002), jobs.put(2), event.set(), lock.release()))
        feeder.start()
        with contextlib.suppress(queue.Empty):  # on a busy machine
            jobs.get(timeout=0.05)
            jobs.get(timeout=0.05)
        event.wait(0.05)
        got = lock.acquire(timeout=0.05)
        feeder.join()
        if got:
            lock.release()
        event.clear()

        def sleeps() -> object:
            begun = time.monotonic()
            time.sleep(0.1)
            slept = time.monotonic() - begun >= 0.1
            thread = threading.Thread(target=time.sleep, args=(0.01,))
            thread.start()
            thread.join()
            return slept

        t.note(in_child(sleeps))


def case_child_serves(t: Any) -> None:
    with others():

        def serve() -> object:
            listener = socket.create_server(("127.0.0.1", 0))

            def answer() -> None:
                for _ in range(3):
                    peer, _ = listener.accept()
                    peer.sendall(peer.recv(100).upper())
                    peer.close()

            thread = threading.Thread(target=answer)
            thread.start()
            got = []
            for n in range(3):
                with socket.create_connection(listener.getsockname()) as sock:
                    sock.sendall(b"request %d" % n)
                    got.append(sock.recv(100))
            thread.join()
            listener.close()
            return got

        t.note(in_child(serve))


def case_parent_goes_on(t: Any) -> None:
    """The child's work does not disturb the parent's descriptors and threads."""
    one, two = socket.socketpair()
    got: list[bytes] = []
    thread = threading.Thread(target=lambda: got.append(two.recv(100)))
    thread.start()
    t.note(in_child(lambda: (time.sleep(0.02), threading.Event().wait(0.01))))
    one.sendall(b"after the fork")
    thread.join()
    t.note(got)
    one.close()
    two.close()


def case_locks_of_the_child(t: Any) -> None:
    lock, rlock, condition, local = threading.Lock(), threading.RLock(), threading.Condition(), threading.local()
    local.value = "of the main thread"
    both, release = threading.Barrier(2), threading.Event()

    def hold() -> None:
        with lock:
            both.wait()
            release.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    both.wait()
    with rlock, condition:

        def look() -> object:
            rlock.acquire()
            condition.notify_all()
            return lock.locked(), lock.acquire(timeout=0.01), rlock._is_owned(), local.value  # type: ignore[attr-defined]

        t.note(in_child(look))
    release.set()
    thread.join()
    t.note(lock.locked())


def case_fork_in_a_thread(t: Any) -> None:
    seen: list[Any] = []
    local = threading.local()

    def work() -> None:
        local.value = "of the thread that forks"

        def look() -> object:
            me = threading.current_thread()
            time.sleep(0.01)
            inner: list[int] = []
            other = threading.Thread(target=inner.append, args=(1,))
            other.start()
            other.join()
            return (
                me.name, me is threading.main_thread(), threading.active_count(), me.ident == threading.get_ident(), local.value,
                inner, me.daemon, threading.main_thread().name,
            )  # fmt: skip

        seen.append(in_child(look))

    with others():
        thread = threading.Thread(target=work, name="forking")
        thread.start()
        thread.join()
    t.note(seen)


def case_fork_in_many_threads(t: Any) -> None:
    codes: list[Any] = []

    def work(n: int) -> None:
        codes.append(in_child(lambda: (time.sleep(0.005), n)))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    t.note(sorted(codes))


def case_grandchildren(t: Any) -> None:
    t.note(in_child(lambda: in_child(lambda: (time.sleep(0.001), in_child(lambda: threading.Event().wait(0.001))))))


def case_at_fork_hooks(t: Any) -> None:
    order: list[str] = []
    armed = [True]
    for when in ("before", "after_in_parent", "after_in_child"):

        def hook(when: str = when) -> None:
            if armed[0]:
                order.append(when)

        os.register_at_fork(**{when: hook})
    t.note(in_child(lambda: order))
    t.note(order)
    armed[0] = False


def case_forkpty(t: Any) -> None:
    pid, fd = os.forkpty()
    if pid == 0:
        time.sleep(0.01)
        print(os.isatty(0), os.isatty(1), input())
        sys.stdout.flush()
        os._exit(3)
    os.write(fd, b"typed\n")
    text = b""
    with contextlib.suppress(OSError):
        while part := os.read(fd, 1000):
            text += part
    t.note(text, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    os.close(fd)


def case_exit_codes(t: Any) -> None:
    """How a forked child ends that does not call `os._exit`."""
    exit_codes(t, thread=False)


def case_exit_codes_of_threads(t: Any) -> None:
    """The same, forked by another thread."""
    exit_codes(t, thread=True)


def exit_codes(t: Any, thread: bool) -> None:
    source = """
        import os, sys, threading, time
        def end():
            {end}
        def work():
            pid = os.fork()
            if pid == 0:
                end()
                return
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
        if {thread}:
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        else:
            work()
        """
    for end in ("pass", "sys.exit(3)", "sys.exit('text')", "raise ValueError('bad')", "time.sleep(0.01)", "os._exit(4)",
                "time.sleep(0.01); sys.exit(5)", "threading.Thread(target=time.sleep, args=(0.02,)).start()"):  # fmt: skip
        said(t, end, source.format(end=end, thread=thread), options=("-Wignore",))


def case_output_of_a_forked_thread(t: Any) -> None:
    said(
        t, "atexit and buffers",
        """
        import atexit, os, threading
        atexit.register(print, "atexit", flush=True)
        def work():
            pid = os.fork()
            if pid:
                os.waitpid(pid, 0)
            else:
                print("child", flush=True)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        print("parent", flush=True)
        """,
        options=("-Wignore",),
    )  # fmt: skip


def case_double_fork(t: Any) -> None:
    """A daemon as of old: the grandchild outlives its parent and still talks to us."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        if os.fork() == 0:
            thread = threading.Thread(target=lambda: (time.sleep(0.02), os.write(writer, b"from the daemon")))
            thread.start()
            thread.join()
        os._exit(0)
    os.close(writer)
    t.note(os.waitpid(pid, 0)[1], os.read(reader, 100), os.read(reader, 100))
    os.close(reader)


def case_wakeups_after_a_fork(t: Any) -> None:
    """Parent and child each use their events, at the same time."""
    events = [threading.Event() for _ in range(3)]

    def ping() -> object:
        got: list[Any] = []

        def wait(event: threading.Event) -> None:
            got.append(event.wait(5))

        threads = [threading.Thread(target=wait, args=(event,)) for event in events]
        for thread in threads:
            thread.start()
        for event in events:
            event.set()
        for thread in threads:
            thread.join()
        return got

    with others():
        results: list[Any] = []
        thread = threading.Thread(target=lambda: results.append(in_child(ping)))
        thread.start()
        t.note(ping())
        thread.join()
        t.note(results)


def case_fork_waits_for_an_import(t: Any) -> None:
    """A thread is in the middle of an import: the child finds it done."""
    import _imp

    state = ["none"]
    begun = threading.Event()

    def importer() -> None:
        _imp.acquire_lock()
        state[0] = "half"
        begun.set()
        time.sleep(0.05)
        state[0] = "whole"
        _imp.release_lock()

    thread = threading.Thread(target=importer)
    thread.start()
    begun.wait(10)
    pid = os.fork()
    if not pid:
        _imp.acquire_lock()
        _imp.release_lock()
        os._exit(["none", "half", "whole"].index(state[0]))
    t.note(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    thread.join()


def case_waits_of_the_child(t: Any) -> None:
    """None of them has anything to do with a deadline of the parent's wait, which ended early."""
    with others():
        event = threading.Event()
        waker = threading.Thread(target=lambda: (time.sleep(0.005), event.set()))
        waker.start()
        t.note(event.wait(0.2))
        waker.join()

        def wait() -> object:
            time.sleep(0.3)  # longer than what was left of the parent's wait
            done = threading.Event()
            thread = threading.Thread(target=done.set)
            thread.start()
            thread.join()
            return done.is_set(), threading.Event().wait(0.001)

        t.note(in_child(wait))


def case_handlers_in_the_child_of_a_thread(t: Any) -> None:
    """There it is the main thread: it may set handlers, and they run in it."""

    def child() -> object:
        seen: list[bool] = []
        signal.signal(signal.SIGUSR1, lambda *_: seen.append(threading.current_thread() is threading.main_thread()))
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(0)
        return seen

    thread = threading.Thread(target=lambda: t.note(in_child(child)))
    thread.start()
    thread.join()
