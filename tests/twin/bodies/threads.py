"""Threads: starting, joining, names, identity, exceptions, shutdown."""

from __future__ import annotations

import _thread
import copy
import ctypes
import multiprocessing
import pickle
import queue
import select
import sys
import threading
import time
import weakref
from _thread import LockType, allocate_lock, start_new_thread
from typing import Any

module_lock = threading.Lock()
module_rlock = threading.RLock()
module_condition = threading.Condition()
module_event = threading.Event()
module_local = threading.local()


def case_start_and_join(t: Any) -> None:
    seen = []
    threads = [threading.Thread(target=seen.append, args=(n,), name=f"worker-{n}") for n in range(5)]
    t.note([thread.is_alive() for thread in threads], threads[0].ident)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    t.note(sorted(seen), [thread.is_alive() for thread in threads])
    t.outcome("start twice", threads[0].start)
    t.outcome("join unstarted", threading.Thread().join)
    t.outcome("join current", threading.current_thread().join)


def case_repr(t: Any) -> None:
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="sleeper", daemon=True)
    t.note(repr(thread))
    thread.start()
    t.note(repr(thread), thread.daemon, thread.name)
    release.set()
    thread.join()
    t.note(repr(thread))
    for thing in (threading.Lock(), threading.RLock(), threading.Condition(), threading.Event(),
                  threading.Semaphore(2), threading.BoundedSemaphore(3), threading.Barrier(2)):  # fmt: skip
        t.note(repr(thing), type(thing).__module__, type(thing).__qualname__)
    held = threading.Lock()
    held.acquire()
    t.note(repr(held))


def case_identity(t: Any) -> None:
    idents: dict[str, Any] = {}
    both = threading.Barrier(2)

    def work() -> None:
        me = threading.current_thread()
        idents[me.name] = (me.ident, threading.get_ident(), me is threading.main_thread())
        both.wait()

    threads = [threading.Thread(target=work, name=name) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    t.note(all(one[0] == one[1] for one in idents.values()), len({one[0] for one in idents.values()}))
    t.note([one[2] for one in idents.values()], threading.main_thread().ident == threading.get_ident())


def case_excepthook(t: Any) -> None:
    seen = []
    old = threading.excepthook
    threading.excepthook = lambda args: seen.append((args.exc_type, str(args.exc_value), args.thread.name))
    try:
        for error in (ValueError("bad"), SystemExit(3), KeyboardInterrupt("k")):

            def fail(error: BaseException = error) -> None:
                raise error

            thread = threading.Thread(target=fail, name="failing")
            thread.start()
            thread.join()
    finally:
        threading.excepthook = old
    t.note(seen)


def case_raw_thread(t: Any) -> None:
    done = allocate_lock()
    done.acquire()
    seen = []

    def work(*args: Any, **kwargs: Any) -> None:
        seen.append((args, kwargs))
        done.release()

    start_new_thread(work, (1, 2), {"three": 3})
    t.note(done.acquire(timeout=5), seen)
    t.outcome("not callable", start_new_thread, 1, ())
    t.outcome("not a tuple", start_new_thread, work, [])


def case_module_objects(t: Any) -> None:
    log: list[Any] = []

    def work(n: int) -> None:
        module_local.n = n
        with module_lock, module_rlock, module_rlock:
            log.append(n)
        module_event.wait(5)
        with module_condition:
            log.append("mine" if module_local.n == n else "another's")
            module_condition.notify_all()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    with module_lock:
        for thread in threads:
            thread.start()
    module_event.set()
    with module_condition:
        t.note(module_condition.wait_for(lambda: log.count("mine") == 4, 5))
    for thread in threads:
        thread.join()
    t.note(hasattr(module_local, "n"))


def case_deadlines(t: Any) -> None:
    held = threading.Lock()
    held.acquire()
    t.outcome("lock", held.acquire, timeout=0.01)
    t.outcome("lock, not blocking", held.acquire, False)
    t.outcome("event", threading.Event().wait, 0.01)
    condition = threading.Condition()
    with condition:
        t.outcome("condition", condition.wait, 0.01)
    t.outcome("semaphore", threading.Semaphore(0).acquire, timeout=0.01)
    t.outcome("barrier", threading.Barrier(2).wait, 0.01)
    t.outcome("bad timeout", held.acquire, True, -2)
    t.outcome("timeout without blocking", held.acquire, False, 1)
    t.outcome("too long", held.acquire, True, 1e12)
    t.outcome("release", threading.Lock().release)
    t.outcome("release", threading.RLock().release)


class _Subclass(threading.local):
    pass


class _Pickled(threading.local):
    def __getstate__(self) -> Any:
        return {"n": 1}

    def __setstate__(self, state: Any) -> None:
        self.n = state["n"]


def case_what_is_no_value_is_not_copied(t: Any) -> None:
    makers: tuple[Any, ...] = (
        threading.Lock, threading.RLock, threading.Condition, threading.Event,
        threading.local, _Subclass, _Pickled, queue.SimpleQueue,
    )  # fmt: skip
    for make in makers:
        for function in (copy.copy, copy.deepcopy, pickle.dumps):
            t.outcome(f"{function.__name__} of {make.__name__}", lambda: type(function(make())).__name__)  # noqa: B023
    t.note(copy.copy(_Pickled()).n, pickle.loads(pickle.dumps(_Pickled())).n)


def case_the_type_of_locks(t: Any) -> None:
    made = type(threading.Lock())
    t.note(made is LockType, made.__name__, made.__module__, threading.Lock.__name__, type(threading.Lock).__name__)
    t.note(pickle.loads(pickle.dumps(threading.Lock)) is threading.Lock)
    t.outcome("made of its type", lambda: type(made()).__name__)
    t.outcome("is one", isinstance, made, threading.Lock)
    t.outcome("a subclass", lambda: type("Sub", (made,), {}))


def case_an_exception_set_in_another_thread(t: Any) -> None:
    """By the recipe that programs use to end a thread."""

    class Stop(Exception):
        pass

    def raise_in(ident: int, kind: Any) -> int:
        return ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), kind)

    ready = threading.Event()

    def work() -> None:
        try:
            ready.set()  # before that it would end the thread elsewhere
            while True:
                time.sleep(0.01)
        except Stop:
            t.note("stopped")

    thread = threading.Thread(target=work)
    ready.clear()
    thread.start()
    ready.wait(5)
    t.note(raise_in(thread.ident or 0, ctypes.py_object(Stop)), raise_in(1, ctypes.py_object(Stop)))
    thread.join()
    thread = threading.Thread(target=work)
    ready.clear()
    thread.start()
    ready.wait(5)
    t.note(raise_in(thread.ident or 0, ctypes.py_object(Stop)), raise_in(thread.ident or 0, None))
    thread.join(0.05)
    t.note(thread.is_alive(), raise_in(thread.ident or 0, ctypes.py_object(Stop)))
    thread.join()
    lock = threading.Lock()
    lock.acquire()

    def wait() -> None:
        try:
            lock.acquire()
            lock.release()
            t.note("released")
        except Stop:
            t.note("stopped after the wait")

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.02)
    raise_in(thread.ident or 0, ctypes.py_object(Stop))
    thread.join(0.05)
    t.note("no wait is cut short", thread.is_alive())
    lock.release()
    thread.join()
    main = threading.main_thread().ident or 0
    try:
        thread = threading.Thread(target=raise_in, args=(main, ctypes.py_object(Stop)))
        thread.start()
        for _ in range(500):
            time.sleep(0.01)
    except Stop:
        t.note("the main thread stopped")
    try:
        raise_in(main, ctypes.py_object(Stop))
        while True:
            pass
    except Stop:
        t.note("by itself")


def case_classes_over_an_rlock(t: Any) -> None:
    """What a subclass overrides calls what it does not, and is not called by it."""
    calls = []

    class Told(type(threading.RLock())):  # type: ignore[misc]
        def __enter__(self) -> bool:
            calls.append("enter")
            return bool(self.acquire())

        def __exit__(self, *exc_info: object) -> None:
            calls.append("exit")
            self.release()

    lock = Told()
    with lock, lock:
        t.note("held twice", calls)
    t.note("given back", calls, lock.acquire(False))
    lock.release()
    t.outcome("not held", lock.release)
    condition = threading.Condition(lock)
    with condition:
        t.note("nobody notifies", condition.wait(0.01))
    t.note("all calls", calls)


def case_what_errors_call_the_classes(t: Any) -> None:
    """By their names with the module, as classes of C; and what can't be done with their objects."""
    semaphore: Any = multiprocessing.Lock()
    things = [threading.Lock(), threading.RLock(), queue.SimpleQueue(), select.poll(), select.epoll(), threading.local()]
    handles = ("_handle", "_os_thread_handle") if sys.version_info >= (3, 13) else ()
    thread = threading.Thread()
    things += [semaphore._semlock, *(getattr(thread, name) for name in handles if hasattr(thread, name))]
    for thing in things:
        kind: Any = type(thing)
        t.note(kind, kind.__name__, kind.__qualname__, kind.__module__, kind.__doc__)
        if kind is not type(things[5]):
            t.outcome("set", setattr, thing, "nothing", 1)
            t.outcome("delete", delattr, thing, "missing")
        t.outcome("get", getattr, thing, "missing")
        t.outcome("a method", setattr, thing, "release" if hasattr(thing, "release") else "__len__", 1)
        t.outcome("dictionary", lambda thing=thing: type(thing.__dict__))
        t.outcome("subclass", lambda kind=kind: type("Sub", (kind,), {}).__name__)
        t.outcome("weakly", lambda thing=thing: type(weakref.ref(thing)))
        for function in (copy.copy, copy.deepcopy, pickle.dumps, iter, len, sorted, float, hex):
            t.outcome(function.__name__, function, thing)
        t.outcome("less", lambda thing=thing: thing < thing)
        t.outcome("add", lambda thing=thing: thing + 1)
        t.outcome("item", lambda thing=thing: thing[0])
        t.outcome("call", lambda thing=thing: thing())
        t.note(thing == thing, hash(thing) == hash(thing), bool(thing), thing != 1)
    t.outcome("a thread", copy.deepcopy, threading.Thread())
    t.outcome("a poll object", type(select.poll()), 1, 2)


class LocalOfTheModule(threading.local):
    pass


module_local_of_a_kind = LocalOfTheModule()


def case_missing_thread_local_attributes(t: Any) -> None:
    for local in (threading.local(), module_local, module_local_of_a_kind, LocalOfTheModule()):
        t.outcome("delete", delattr, local, "missing")
        t.outcome("get", getattr, local, "missing")
        local.there = 1
        del local.there
        t.outcome("delete again", delattr, local, "there")
        t.note("there" in dir(local))


class EqualToAll:
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return True

    def __repr__(self) -> str:
        return "a name"


class EqualToNone(EqualToAll):
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return False


def case_thread_local_names_that_are_no_strings(t: Any) -> None:
    # until 3.13 the interpreter crashes when it tells of the first of these
    names = [EqualToAll()] * (sys.version_info >= (3, 14)) + [EqualToNone(), 5, []]
    for local in (threading.local(), module_local, module_local_of_a_kind, LocalOfTheModule()):
        for name in names:
            t.outcome("set", local.__setattr__, name, 1)
            t.outcome("get", local.__getattribute__, name)
            t.outcome("delete", local.__delattr__, name)


def case_thread_local_data_that_makes_itself_again(t: Any) -> None:
    local, other, made, ended = threading.local(), threading.local(), [], []

    class Again:
        def __init__(self, where: Any, first: bool) -> None:
            self.where, self.first = where, first
            made.append(1)

        def __del__(self) -> None:
            if self.first:
                ended.append(self.where is local)
            if len(made) < 10_000:
                self.where.one = Again(self.where, False)

    def make() -> None:
        local.one, other.one = Again(local, True), Again(other, True)
        local.two = 2

    def look() -> None:
        t.note(vars(local), vars(other))

    for function in (make, look, make, look):
        thread = threading.Thread(target=function)
        thread.start()
        thread.join()
        while thread.is_alive():
            time.sleep(0.001)
    made_by_threads = len(made)
    t.note(sorted(ended), made_by_threads < 100, vars(local))
    made.extend([1] * 10_000)


def case_names_that_the_system_shows(t: Any) -> None:
    get_name, set_name = getattr(_thread, "_get_name", None), getattr(_thread, "set_name", None)
    if get_name is None or set_name is None:
        t.note("not in this Python")
        return
    before = get_name()

    def look(name: str | None) -> None:
        if name is not None:
            threading.current_thread().name = name
        t.note(threading.current_thread().name, get_name())

    for name in ("short", "x" * 30, "ä" * 20, "", None):
        thread = threading.Thread(target=look, args=(name,), name="given" * 4)
        thread.start()
        thread.join()
    ended = threading.Lock()
    ended.acquire()

    def raw() -> None:
        set_name("raw")
        t.note(get_name())
        ended.release()

    _thread.start_new_thread(raw, ())
    ended.acquire()
    for arguments in ((), (1,), ("a", 2)):
        t.outcome("arguments", set_name, *arguments)
    t.note(get_name() == before)


def case_whether_a_reentrant_lock_is_held(t: Any) -> None:
    lock: Any = threading.RLock()
    for one in (lock, module_rlock):
        t.outcome("free", lambda one=one: one.locked())
        with one, one:
            t.outcome("held", lambda one=one: one.locked())
            thread = threading.Thread(target=lambda one=one: t.outcome("seen by another", lambda: one.locked()))
            thread.start()
            thread.join()
        t.outcome("free again", lambda one=one: one.locked())
        t.outcome("arguments", lambda one=one: one.locked(1))
