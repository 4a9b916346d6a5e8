"""What the interpreter keeps for an OS thread: each thread has its own, and begins as a new one does."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import decimal
import gc
import os
import reprlib
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from turns import in_turn


def case_errno_of_ctypes(t: Any) -> None:
    ctypes.set_errno(77)

    def work(give: Callable[[], None]) -> list[int]:
        seen = [ctypes.get_errno()]
        mine = threading.get_native_id() and len(seen) + numbers.pop()
        ctypes.set_errno(mine)
        for _ in range(3):
            give()
            seen.append(ctypes.get_errno() - mine)
        return seen

    numbers = [10, 20, 30]
    t.note(in_turn(work, work, work), ctypes.get_errno())
    for _ in range(3):  # in what has run others before, too
        thread = threading.Thread(target=lambda: (t.note(ctypes.get_errno()), ctypes.set_errno(5)))
        thread.start()
        thread.join()
    t.note(ctypes.get_errno())


def case_errno_beside_waits_of_all_kinds(t: Any) -> None:
    lock, done, ready = threading.Lock(), threading.Event(), threading.Semaphore(0)

    def work(number: int) -> None:
        ctypes.set_errno(number)
        time.sleep(0)
        with lock:
            time.sleep(0.001)
        ready.release()
        done.wait()
        seen[number] = ctypes.get_errno()

    seen: dict[int, int] = {}
    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for _ in threads:
        ready.acquire()
    ctypes.set_errno(99)
    done.set()
    for thread in threads:
        thread.join()
    t.note(sorted(seen.items()), ctypes.get_errno())


def case_recursive_repr(t: Any) -> None:
    class Tree:
        give: Callable[[], None]

        @reprlib.recursive_repr()
        def __repr__(self) -> str:
            self.give()
            return f"Tree({self!r})"

    tree = Tree()

    def work(give: Callable[[], None]) -> str:
        tree.give = give
        return repr(tree)

    t.note(in_turn(work, work))


def case_depth_of_origins(t: Any) -> None:
    def work(depth: int) -> Callable[[Callable[[], None]], list[int]]:
        def body(give: Callable[[], None]) -> list[int]:
            seen = [sys.get_coroutine_origin_tracking_depth()]
            give()
            sys.set_coroutine_origin_tracking_depth(depth)
            for _ in range(2):
                give()
                seen.append(sys.get_coroutine_origin_tracking_depth())
            return seen

        return body

    t.note(in_turn(work(1), work(0), work(3)), sys.get_coroutine_origin_tracking_depth())
    sys.set_coroutine_origin_tracking_depth(2)
    t.note(in_turn(work(1), work(0), work(3)), sys.get_coroutine_origin_tracking_depth())
    sys.set_coroutine_origin_tracking_depth(0)
    t.note(in_turn(lambda give: sys.get_coroutine_origin_tracking_depth()))
    t.outcome("negative", sys.set_coroutine_origin_tracking_depth, -1)
    t.outcome("no number", sys.set_coroutine_origin_tracking_depth, "x")
    t.outcome("by name", sys.set_coroutine_origin_tracking_depth, depth=0)
    t.outcome("none", sys.set_coroutine_origin_tracking_depth)


def case_loops_that_debug_overlap(t: Any) -> None:
    async def nap(give: Callable[[], None]) -> int:
        give()
        await asyncio.sleep(0)
        give()
        return sys.get_coroutine_origin_tracking_depth()

    def work(give: Callable[[], None]) -> list[int]:
        found = [asyncio.run(nap(give), debug=True)]
        give()
        return [*found, sys.get_coroutine_origin_tracking_depth()]

    def look(give: Callable[[], None]) -> list[int]:
        seen = []
        for _ in range(4):
            seen.append(sys.get_coroutine_origin_tracking_depth())
            give()
        return seen

    t.note(in_turn(work, look, work), sys.get_coroutine_origin_tracking_depth())
    t.note(in_turn(look))


def case_hooks_of_async_generators(t: Any) -> None:
    async def numbers() -> Any:
        yield 1

    def work(give: Callable[[], None]) -> list[Any]:
        def first(agen: Any) -> None:
            seen.append("begun")

        seen: list[Any] = [sys.get_asyncgen_hooks()]
        sys.set_asyncgen_hooks(firstiter=first)
        give()
        hooks = sys.get_asyncgen_hooks()
        seen += [hooks.firstiter is first, hooks.finalizer]
        give()
        agen = numbers()
        step = agen.__anext__()
        try:
            step.send(None)
        except StopIteration as stop:
            seen.append(stop.value)
        give()
        return seen

    def plain(give: Callable[[], None]) -> list[Any]:
        seen = []
        for _ in range(3):
            seen.append(sys.get_asyncgen_hooks())
            give()
        return seen

    t.note(in_turn(work, plain, work), sys.get_asyncgen_hooks())
    finalizer = t.note
    sys.set_asyncgen_hooks(None, finalizer)
    t.note(in_turn(work, plain), sys.get_asyncgen_hooks().finalizer is finalizer)
    time.sleep(0.001)
    t.note(sys.get_asyncgen_hooks().finalizer is finalizer)
    sys.set_asyncgen_hooks(finalizer=None)
    t.note(sys.get_asyncgen_hooks(), in_turn(plain))
    t.outcome("no function", sys.set_asyncgen_hooks, 5)
    t.outcome("too many", sys.set_asyncgen_hooks, None, None, None)


def case_exceptions_and_recursion(t: Any) -> None:
    def handling(name: str) -> Callable[[Callable[[], None]], list[Any]]:
        def body(give: Callable[[], None]) -> list[Any]:
            try:
                raise ValueError(name)
            except ValueError:
                give()
                seen = [repr(sys.exc_info()[1])]
                give()
                try:
                    raise KeyError(name)
                except KeyError as error:
                    give()
                    seen.append(repr(error.__context__))
            return [*seen, sys.exc_info()[0]]

        return body

    def down(depth: int, bottom: Callable[[], int]) -> int:
        return bottom() if depth == 0 else down(depth - 1, bottom)

    def deep(give: Callable[[], None]) -> int:
        give()
        return down(600, lambda: (give(), down(200, lambda: 1))[1])

    t.note(in_turn(handling("a"), handling("b"), lambda give: (give(), sys.exc_info()[0])[1]))
    t.note(in_turn(deep, deep, deep))


def case_contexts(t: Any) -> None:
    var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="none")

    def work(name: str) -> Callable[[Callable[[], None]], list[Any]]:
        def body(give: Callable[[], None]) -> list[Any]:
            seen = [var.get()]
            var.set(name)
            decimal.getcontext().prec = len(name)
            give()
            return [*seen, var.get(), decimal.getcontext().prec]

        return body

    t.note(in_turn(work("one"), work("three")), var.get())


def case_trace_and_profile(t: Any) -> None:
    def traced(give: Callable[[], None]) -> list[Any]:
        def trace(frame: Any, event: str, arg: Any) -> Any:
            return trace

        sys.settrace(trace)
        give()
        mine = sys.gettrace() is trace
        sys.settrace(None)
        return [mine]

    def profiled(give: Callable[[], None]) -> list[Any]:
        def profile(frame: Any, event: str, arg: Any) -> None:
            pass

        sys.setprofile(profile)
        give()
        mine = sys.getprofile() is profile
        sys.setprofile(None)
        return [mine]

    def plain(give: Callable[[], None]) -> list[Any]:
        give()
        return [sys.gettrace(), sys.getprofile()]

    t.note(in_turn(traced, profiled, plain))


def case_asynchronous_exceptions(t: Any) -> None:
    class Stop(Exception):
        pass

    def victim(name: str) -> Callable[[Callable[[], None]], Any]:
        def body(give: Callable[[], None]) -> Any:
            idents[name] = threading.get_ident()
            try:
                for _ in range(3):
                    give()
                return "unharmed"
            except Stop:
                return "stopped"

        return body

    def thrower(give: Callable[[], None]) -> Any:
        give()
        return ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(idents["b"]), ctypes.py_object(Stop))

    idents: dict[str, int] = {}
    t.note(in_turn(victim("a"), thrower, victim("b")))


def case_asynchronous_exceptions_and_signals(t: Any) -> None:
    """Since 3.15 a signal that comes through ends a call of the system if such an exception is due; never a lock's."""

    class Stop(Exception):
        pass

    def attempt(what: str, signum: int, wait: Callable[[], Any], end: Callable[[], Any]) -> None:
        def body() -> None:
            try:
                begun.set()
                wait()
            except Stop:
                told.append("stopped")

        begun, told = threading.Event(), []
        thread = threading.Thread(target=body)
        thread.start()
        begun.wait()
        time.sleep(0.05)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(Stop))
        time.sleep(0.05)
        signal.pthread_kill(thread.ident or 0, signum)
        thread.join(0.3)
        t.note(what, "goes on" if thread.is_alive() else "ends")
        end()
        thread.join()
        t.note(told)

    lock, event, poll = threading.Lock(), threading.Event(), select.poll()
    pairs = [socket.socketpair() for _ in range(4)]
    lock.acquire()
    poll.register(pairs[3][0], select.POLLIN)
    waits: list[tuple[str, Callable[[], Any], Callable[[], Any]]] = [
        ("sleep", lambda: time.sleep(1), int),
        ("recv", lambda: pairs[0][0].recv(1), lambda: pairs[0][1].send(b"x")),
        ("read", lambda: os.read(pairs[1][0].fileno(), 1), lambda: pairs[1][1].send(b"x")),
        ("select", lambda: select.select([pairs[2][0]], [], []), lambda: pairs[2][1].send(b"x")),
        ("poll", poll.poll, lambda: pairs[3][1].send(b"x")),
        ("lock", lock.acquire, lock.release),
        ("event", event.wait, event.set),
    ]
    before = signal.signal(signal.SIGUSR1, lambda *_: None), signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        for what, wait, end in waits:
            attempt(what, signal.SIGUSR1, wait, end)
        attempt("sleep beside what is ignored", signal.SIGUSR2, lambda: time.sleep(0.6), int)
        attempt("sleep beside no signal", 0, lambda: time.sleep(0.6), int)
    finally:
        signal.signal(signal.SIGUSR1, before[0])
        signal.signal(signal.SIGUSR2, before[1])
        for one in sum(pairs, ()):
            one.close()


class Nested:
    def __init__(self, inner: Any) -> None:
        self.inner = inner


def case_deep_structures_are_freed(t: Any) -> None:
    class Waits:
        def __del__(self) -> None:
            freed.append(1)
            time.sleep(0.001)
            freed.append(2)

    def work(give: Callable[[], None]) -> int:
        give()
        inner: Any = Waits()
        for _ in range(3000):
            inner = (inner,)
        del inner
        give()
        inner = None
        for _ in range(300):
            inner = [inner, Nested(inner)]
        return len(freed) % 2

    freed: list[int] = []
    t.note(in_turn(work, work, work))
    gc.collect()
    t.note(sorted(freed))


def case_identity_of_threads(t: Any) -> None:
    idents = in_turn(*[lambda give: [threading.get_ident(), give(), threading.get_ident()]] * 4)
    t.note([first == last for first, _, last in idents], len({first for first, _, _ in idents}))


def case_data_of_ended_threads_goes(t: Any) -> None:
    class Told:
        def __del__(self) -> None:
            gone.append(1)

    def work() -> None:
        here.told = Told()
        repr([1])
        ctypes.set_errno(1)

    gone: list[int] = []
    here = threading.local()
    for _ in range(3):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        t.note(gone)
