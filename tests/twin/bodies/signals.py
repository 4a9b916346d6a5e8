"""Signals: which waits they end, what a handler may do, and the calls of `signal`."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from programs import said


class Stop(Exception):
    pass


def _stop(signum: int, frame: Any) -> None:
    raise Stop(f"by {signal.Signals(signum).name}")


@contextlib.contextmanager
def handling(handler: Any, signum: int = signal.SIGUSR1) -> Iterator[None]:
    old = signal.signal(signum, handler)
    try:
        yield
    finally:
        signal.signal(signum, old)


def soon(signum: int = signal.SIGUSR1, seconds: float = 0.02) -> None:
    """Send a signal to this process a little later, from another thread."""
    threading.Timer(seconds, os.kill, (os.getpid(), signum)).start()


@contextlib.contextmanager
def waits() -> Iterator[dict[str, Callable[[], object]]]:
    """Each kind of wait, none of which ends by itself."""
    (reader, writer), (one, two) = os.pipe(), socket.socketpair()
    listener = socket.create_server(("127.0.0.1", 0))
    held, taken, condition = threading.Lock(), threading.RLock(), threading.Condition()
    held.acquire()
    never = threading.Event()
    has_taken = threading.Event()
    sleeping = subprocess.Popen(["sleep", "30"])

    def take() -> None:
        with taken:
            has_taken.set()
            never.wait()

    thread, other = threading.Thread(target=take), threading.Thread(target=never.wait)
    thread.start()
    other.start()
    has_taken.wait()

    def wait_condition() -> None:
        with condition:
            condition.wait()

    def epoll() -> object:
        with select.epoll() as waiting:
            waiting.register(reader, select.EPOLLIN)
            return waiting.poll()

    def poll() -> object:
        waiting = select.poll()
        waiting.register(reader, select.POLLIN)
        return waiting.poll()

    all_of_them: dict[str, Callable[[], object]] = {
        "sleep": lambda: time.sleep(10),
        "lock": held.acquire,
        "lock, timeout": lambda: held.acquire(timeout=10),
        "rlock": taken.acquire,
        "with": lambda: held.__enter__(),
        "event": never.wait,
        "event, timeout": lambda: never.wait(10),
        "condition": wait_condition,
        "semaphore": threading.Semaphore(0).acquire,
        "barrier": threading.Barrier(2).wait,
        "join": thread.join,
        "join, timeout": lambda: other.join(10),  # up to 3.12 an interrupted join makes the thread look ended
        "queue": queue.Queue().get,
        "queue, timeout": lambda: queue.Queue().get(timeout=10),
        "simple queue": queue.SimpleQueue().get,
        "recv": lambda: one.recv(1),
        "accept": listener.accept,
        "read": lambda: os.read(reader, 1),
        "file": lambda: open(reader, "rb", closefd=False).read(1),
        "select": lambda: select.select([reader], [], []),
        "poll": poll,
        "epoll": epoll,
        "child": sleeping.wait,
        "waitpid": lambda: os.waitpid(sleeping.pid, 0),
        "wait": os.wait,
        "pause": signal.pause,
    }
    try:
        yield all_of_them
    finally:
        never.set()
        thread.join()
        other.join()
        sleeping.kill()
        sleeping.wait()
        for thing in (one, two, listener):
            thing.close()
        os.close(reader)
        os.close(writer)


def case_handler_ends_every_wait(t: Any) -> None:
    with handling(_stop), waits() as all_of_them:
        for name, wait in all_of_them.items():
            soon()
            begin = time.monotonic()
            t.outcome(name, wait)
            t.note(time.monotonic() - begin < 2)


def case_handler_that_returns_ends_none(t: Any) -> None:
    seen: list[Any] = []
    reader, writer = os.pipe()
    released = threading.Event()
    held = threading.Lock()
    held.acquire()

    def release() -> None:
        time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(0.02)
        os.write(writer, b"x")
        released.set()
        held.release()

    def handler(signum: int, frame: Any) -> None:
        seen.append((signum, threading.current_thread() is threading.main_thread(), frame.f_code.co_name))

    with handling(handler):
        for name, wait in (
            ("read", lambda: os.read(reader, 1)), ("event", released.wait), ("lock", held.acquire),
            ("sleep", lambda: time.sleep(0.06)), ("select", lambda: select.select([reader], [], [], 5)[0] == [reader]),
        ):  # fmt: skip
            released.clear()
            thread = threading.Thread(target=release)
            held.acquire(False)
            thread.start()
            t.outcome(name, wait)
            thread.join()
            t.note(len(seen), seen[-1][:2])


def case_handler_frame(t: Any) -> None:
    frames: list[str] = []

    def handler(signum: int, frame: Any) -> None:
        while frame is not None and not frame.f_code.co_filename.endswith("signals.py"):
            frame = frame.f_back
        frames.append(frame.f_code.co_name)

    def waiting_here() -> None:
        time.sleep(0.05)

    with handling(handler):
        soon()
        waiting_here()
        os.kill(os.getpid(), signal.SIGUSR1)
        signal.raise_signal(signal.SIGUSR1)
    t.note(frames)


def case_handlers_while_others_run(t: Any) -> None:
    """The main thread handles it also while another thread computes."""
    seen: list[Any] = []
    done = threading.Event()

    def compute() -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        done.set()

    def handler(signum: int, frame: Any) -> None:
        seen.append(threading.current_thread() is threading.main_thread())

    with handling(handler):
        thread = threading.Thread(target=compute)
        thread.start()
        done.wait()
        thread.join()
        t.note(seen)


def case_handler_uses_locks(t: Any) -> None:
    lock, got = threading.Lock(), queue.Queue[int]()

    def handler(signum: int, frame: Any) -> None:
        with lock:
            got.put(signum)
        time.sleep(0.001)

    with handling(handler):
        soon()
        t.note(got.get() == signal.SIGUSR1)
        soon()
        time.sleep(0.04)
        t.note(got.qsize())


def case_signal_and_getsignal(t: Any) -> None:
    def handler(signum: int, frame: Any) -> None:
        pass

    t.note(signal.getsignal(signal.SIGUSR1), signal.getsignal(signal.SIGINT) is signal.default_int_handler)
    t.note(signal.signal(signal.SIGUSR1, handler), signal.getsignal(signal.SIGUSR1) is handler)
    t.note(signal.signal(signal.SIGUSR1, signal.SIG_IGN) is handler, signal.getsignal(signal.SIGUSR1))
    t.note(signal.signal(signal.SIGUSR1, signal.SIG_DFL), signal.getsignal(signal.SIGKILL))
    t.outcome("bad signal", signal.signal, 999, handler)
    t.outcome("SIGKILL", signal.signal, signal.SIGKILL, handler)
    t.outcome("bad handler", signal.signal, signal.SIGUSR1, "x")
    t.outcome("no handler", signal.signal, signal.SIGUSR1)
    t.outcome("bad", signal.getsignal, 999)
    t.outcome("str", signal.getsignal, "x")
    t.outcome("keyword", signal.signal, signalnum=signal.SIGUSR1, handler=signal.SIG_DFL)
    t.outcome("strsignal", signal.strsignal, signal.SIGUSR1)
    t.outcome("default_int_handler", signal.default_int_handler, 2, None)
    t.outcome("default_int_handler", signal.default_int_handler)


def case_from_another_thread(t: Any) -> None:
    def work() -> None:
        t.outcome("signal", signal.signal, signal.SIGUSR1, signal.SIG_DFL)
        t.outcome("getsignal", signal.getsignal, signal.SIGUSR1)
        t.outcome("raise_signal", signal.raise_signal, 0)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def case_timers(t: Any) -> None:
    seen: list[int] = []
    with handling(lambda signum, frame: seen.append(signum), signal.SIGALRM):
        t.note(signal.setitimer(signal.ITIMER_REAL, 0.02))
        signal.pause()
        t.note(seen == [signal.SIGALRM], signal.getitimer(signal.ITIMER_REAL))
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        while len(seen) < 4:
            signal.pause()
        signal.setitimer(signal.ITIMER_REAL, 0)
        t.note(signal.alarm(100), signal.alarm(0))
    with handling(_stop, signal.SIGALRM):
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        t.outcome("sleep", time.sleep, 10)
    t.outcome("bad timer", signal.setitimer, 99, 1)


BLOCKED = """
import os, signal, threading
from signal import SIGALRM, SIGUSR1, SIGUSR2, pthread_sigmask, sigpending, sigtimedwait, sigwait, sigwaitinfo

def outcome(label, function, *args):
    try:
        print(label, function(*args), flush=True)
    except Exception as error:
        print(label, type(error).__name__, error, flush=True)

def soon(signum):
    threading.Timer(.02, os.kill, (os.getpid(), signum)).start()

class Stop(Exception):
    pass

def stop(signum, frame):
    raise Stop(signum)

print(pthread_sigmask(signal.SIG_BLOCK, {SIGUSR1, SIGUSR2}), sorted(pthread_sigmask(signal.SIG_BLOCK, ())))
outcome("sigtimedwait", sigtimedwait, {SIGUSR1}, 0.02)
outcome("sigtimedwait 0", sigtimedwait, {SIGUSR1}, 0)
soon(SIGUSR1)
info = sigtimedwait({SIGUSR1}, 5)
print(info.si_signo, info.si_pid == os.getpid())
soon(SIGUSR2)
outcome("sigwait", sigwait, [SIGUSR1, SIGUSR2])
soon(SIGUSR1)
info = sigwaitinfo([SIGUSR1])
print(info.si_signo, type(info).__name__)
os.kill(os.getpid(), SIGUSR2)
print(sigpending())
outcome("pending", sigwait, {SIGUSR2})
print(sigpending())
outcome("negative", sigtimedwait, {SIGUSR1}, -1)
outcome("str timeout", sigtimedwait, {SIGUSR1}, "x")
outcome("bad set", sigtimedwait, 3, 1)
outcome("bad set", sigwait, 3)
outcome("bad set", sigwaitinfo, 3)
outcome("bad signal", sigwait, [999])
outcome("bad signal", sigwaitinfo, ["x"])
outcome("bad signal", sigtimedwait, ["x"], 5)
outcome("no timeout", sigtimedwait, [SIGUSR1])
outcome("no set", sigwait)
outcome("huge timeout", sigtimedwait, [SIGUSR1], 1e30)
signal.signal(SIGALRM, stop)
soon(SIGALRM)
outcome("interrupted", sigwaitinfo, {SIGUSR1})
soon(SIGALRM)
outcome("interrupted", sigtimedwait, {SIGUSR1}, 5)
"""

TAKER = """
import os, signal, threading
signals = {signal.SIGUSR1, signal.SIGUSR2}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
seen = []
taken = threading.Semaphore(0)
def take():
    while (signum := signal.sigwait(signals)) != signal.SIGUSR2:
        seen.append(signum)
        taken.release()
thread = threading.Thread(target=take)
thread.start()
for _ in range(3):
    os.kill(os.getpid(), signal.SIGUSR1)
    taken.acquire()
os.kill(os.getpid(), signal.SIGUSR2)
thread.join()
print(seen)
"""


def case_blocked_signals(t: Any) -> None:
    said(t, "each call", BLOCKED)
    said(t, "one thread takes them", TAKER)
    mask = "import signal, subprocess; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})"
    said(t, "inherited", mask + "\nsubprocess.run(['grep', 'SigBlk', '/proc/self/status'])")
    said(t, "closed at the end", "import os; print(os.popen('echo x').read())")


def case_pthread_kill(t: Any) -> None:
    seen: list[Any] = []
    release = threading.Event()
    with handling(lambda signum, frame: seen.append(threading.current_thread() is threading.main_thread())):
        thread = threading.Thread(target=release.wait)
        thread.start()
        assert thread.ident is not None
        signal.pthread_kill(thread.ident, signal.SIGUSR1)
        while not seen:
            time.sleep(0.001)
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        while len(seen) < 3:
            time.sleep(0.001)
        t.outcome("0", signal.pthread_kill, thread.ident, 0)
        t.outcome("bad", signal.pthread_kill, thread.ident, 999)
        t.outcome("no signal", signal.pthread_kill, thread.ident)
        t.outcome("str", signal.pthread_kill, "x", 0)
        release.set()
        thread.join()
    t.note(seen)


def case_wakeup_fd(t: Any) -> None:
    one, two = socket.socketpair()
    one.setblocking(False)
    two.setblocking(False)
    t.note(signal.set_wakeup_fd(one.fileno(), warn_on_full_buffer=False))
    try:
        with handling(lambda signum, frame: None):
            soon()
            t.note(select.select([two], [], [], 5)[0] == [two], two.recv(10) == bytes([signal.SIGUSR1]))
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(0.001)
            t.note(two.recv(10) == bytes([signal.SIGUSR1]))
    finally:
        t.note(signal.set_wakeup_fd(-1) == one.fileno())
    t.outcome("bad", signal.set_wakeup_fd, 9999)
    one.close()
    two.close()


def case_siginterrupt(t: Any) -> None:
    seen: list[int] = []
    reader, writer = os.pipe()
    with handling(lambda signum, frame: seen.append(signum)):
        for flag in (True, False):
            t.note(signal.siginterrupt(signal.SIGUSR1, flag))
            soon()
            threading.Timer(0.05, os.write, (writer, b"x")).start()
            t.note(os.read(reader, 1), len(seen))


def case_keyboard_interrupt(t: Any) -> None:
    with waits() as all_of_them:
        for name in ("sleep", "lock", "recv", "join", "read", "queue"):
            soon(signal.SIGINT)
            t.outcome(name, all_of_them[name])


def case_exception_in_a_handler_leaves_locks_right(t: Any) -> None:
    condition, jobs = threading.Condition(), queue.Queue[int]()
    with handling(_stop):
        with condition:
            soon()
            t.outcome("wait", condition.wait)
            t.note(condition._is_owned())  # type: ignore[attr-defined]
        soon()
        t.outcome("get", jobs.get)
        jobs.put(1)
        t.note(jobs.get(), jobs.empty())
        event = threading.Event()
        soon()
        t.outcome("event", event.wait)
        event.set()
        t.note(event.wait(1))


PROGRAMS = {
    "interrupt": "import os, signal, time, threading\nthreading.Timer(.05, os.kill, (os.getpid(), signal.SIGINT)).start()\ntime.sleep(9)",  # noqa: E501
    "interrupt, with threads": """
        import os, signal, threading, time
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        threading.Timer(.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        raise SystemExit(3)
        """,
    "terminated": "import os, signal, time, threading\nthreading.Timer(.05, os.kill, (os.getpid(), 15)).start()\ntime.sleep(9)",
    "SIGTERM handler that exits": """
        import os, signal, sys, threading, time
        signal.signal(signal.SIGTERM, lambda *args: sys.exit(7))
        threading.Timer(.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
        try:
            time.sleep(9)
        finally:
            print("unwound")
        """,
    "handler during the join at exit": """
        import os, signal, threading, time
        signal.signal(signal.SIGUSR1, lambda *args: print("handled", flush=True))
        def work():
            time.sleep(.05)
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(.05)
            print("worked", flush=True)
        threading.Thread(target=work).start()
        print("main is done", flush=True)
        """,
    "interrupt_main": """
        import _thread, threading, time
        threading.Timer(.05, _thread.interrupt_main).start()
        try:
            while True:
                time.sleep(.01)
        except KeyboardInterrupt as error:
            print("interrupted", repr(error))
        """,
    "ignored": """
        import os, signal, time
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(.01)
        print("still here")
        """,
    "handler in a busy loop": """
        import os, signal, threading
        stop = []
        signal.signal(signal.SIGALRM, lambda *args: stop.append(1))
        signal.setitimer(signal.ITIMER_REAL, .05)
        while not stop:
            pass
        print("stopped")
        """,
}


def case_programs(t: Any) -> None:
    for name, source in PROGRAMS.items():
        said(t, name, source)
    t.note(sys.platform)


def case_mask_of_a_thread(t: Any) -> None:
    """A thread blocks all signals for itself; the main one goes on getting them, and children of the thread have its mask."""
    got = threading.Event()
    before = signal.signal(signal.SIGUSR1, lambda *_: got.set())

    def work() -> None:
        t.note(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
        t.note(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGUSR2])))
        t.note(sorted(signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR2])))
        t.note(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGKILL])))
        t.note(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
        t.outcome("how", lambda: signal.pthread_sigmask(17, []))
        t.outcome("which", lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [1000]))
        t.outcome("what", lambda: signal.pthread_sigmask(signal.SIG_BLOCK, 5))
        pid = os.fork()
        if not pid:
            os._exit(len(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
        t.note(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        os.kill(os.getpid(), signal.SIGUSR1)

    thread = threading.Thread(target=work)
    thread.start()
    t.note(got.wait(10))
    thread.join()
    t.note(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
    signal.signal(signal.SIGUSR1, before)


def case_signal_for_a_thread_that_blocks_it(t: Any) -> None:
    """`pthread_kill` to a thread that blocks the signal: it waits there for `sigwait`, or until it is let through."""
    got = threading.Event()
    before = signal.signal(signal.SIGUSR2, lambda *_: got.set())
    blocked, sent = threading.Event(), threading.Event()

    def work() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGUSR2])
        blocked.set()
        sent.wait(10)
        t.note(got.is_set())
        t.note(signal.sigwait([signal.SIGUSR1]))
        t.note(signal.sigtimedwait([signal.SIGUSR1], 0.01))
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        info = signal.sigwaitinfo([signal.SIGUSR1])
        t.note((int(info.si_signo), info.si_code, info.si_errno, info.si_pid == os.getpid(), info.si_uid == os.getuid()))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR2])

    thread = threading.Thread(target=work)
    thread.start()
    blocked.wait(10)
    for _ in range(2):
        signal.pthread_kill(thread.ident or 0, signal.SIGUSR1)
    signal.pthread_kill(thread.ident or 0, signal.SIGUSR2)
    sent.set()
    thread.join()
    t.note(any(got.wait(0.02) for _ in range(100)))  # natively a wait is not ended by what another thread got
    signal.signal(signal.SIGUSR2, before)
