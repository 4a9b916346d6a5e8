"""What a lock's state rests on: a flag that is looked at and set in one line, between which no other thread can run."""

from __future__ import annotations

import dis
import sys
import threading
import time
from collections.abc import Callable
from types import CodeType
from typing import Any

import pytest

from dhagapatch.core import sync, waitq
from dhagapatch.core.compiled import IN_PYTHON

FLAG = "_mutex_held"


def python(kind: type, name: str) -> Callable[..., Any]:
    """A method as it is written in Python."""
    return IN_PYTHON.get((kind, name), getattr(kind, name))


EXCHANGES = [
    *((python(sync.Lock, name), FLAG) for name in ("acquire", "__enter__", "release", "__exit__")),
    (sync.Mutex._take, FLAG), (python(sync.RLock, "__enter__"), FLAG), (sync.RLock._take, FLAG), (waitq.queue_of, "_waiters"),
]  # fmt: skip

# after these the interpreter may let another thread run (at branches a monitoring tool may); of the rest none calls Python code
# here: the one subscription is a list's
MAY_SWITCH = ("CALL", "JUMP", "RESUME", "PRECALL", "FOR_ITER", "SEND", "YIELD", "WITH", "BUILD")


def between(code: CodeType, attribute: str) -> list[list[str]]:
    """The instructions from each load of the attribute to the store of it in the same line."""
    found = []
    lines: dict[int, list[dis.Instruction]] = {}
    line = 0
    for one in dis.get_instructions(code):
        position = one.positions
        line = position.lineno if position is not None and position.lineno is not None else line
        lines.setdefault(line, []).append(one)
    for instructions in lines.values():
        names = [(one.opname, one.argval) for one in instructions]
        loads = [number for number, one in enumerate(names) if one == ("LOAD_ATTR", attribute)]
        if loads and ("STORE_ATTR", attribute) in names:
            found.append([name for name, _ in names[loads[0] : names.index(("STORE_ATTR", attribute))]])
    return found


@pytest.mark.parametrize(("function", "attribute"), EXCHANGES)
def test_nothing_comes_between(function: Callable[..., Any], attribute: str) -> None:
    sections = between(function.__code__, attribute)
    assert len(sections) == 1
    assert not [name for name in sections[0] if any(part in name for part in MAY_SWITCH)]


THREADS, ROUNDS = 4, 4000


def switch(frame: Any, event: str, argument: object) -> Any:
    """A tracer that lets the others run before each line of the lock."""
    if frame.f_code.co_filename == sync.__file__:
        time.sleep(0)
    return switch


@pytest.fixture(params=["compiled", "python"])
def _both(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "compiled" and not IN_PYTHON:
        pytest.skip("the compiled part is not there, or switched off")
    if request.param == "python":
        for (kind, name), method in IN_PYTHON.items():
            if issubclass(kind, sync.Mutex):
                monkeypatch.setattr(kind, name, method)


@pytest.mark.usefixtures("_both")
@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("make", [sync.Lock, sync.RLock])
def test_native_threads_exclude_each_other(make: Callable[[], Any], traced: bool) -> None:
    """Also when a tracer, written in Python, is called at each line: there threads do change."""
    lock = make()
    inside = [0]
    most = []
    rounds = ROUNDS // 10 if traced else ROUNDS

    def work() -> None:
        for number in range(rounds):
            if number % 3:
                with lock:
                    visit()
            elif lock.acquire(number % 2 == 0, *([] if number % 2 else [20])):
                try:
                    visit()
                finally:
                    lock.release()

    def visit() -> None:
        inside[0] += 1
        most.append(inside[0])
        len(str(inside))  # a call: others may run
        inside[0] -= 1

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    if traced:
        threading.settrace(switch)
    try:
        threads = [threading.Thread(target=work, daemon=True) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    finally:
        threading.settrace(None)  # type: ignore[arg-type]
        sys.setswitchinterval(interval)
    assert not any(thread.is_alive() for thread in threads), f"a wake-up was lost: {lock!r}"
    assert set(most) == {1}
    assert "unlocked" in repr(lock)


@pytest.mark.usefixtures("_both")
def test_a_queue_is_made_once() -> None:
    """Native threads that are the first to wait, all at once, find one queue."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(300):
            lock = sync.Lock()
            lock.acquire()
            start = threading.Barrier(3)

            def wait(lock: Any = lock, start: Any = start) -> None:
                start.wait(20)
                lock.acquire()
                lock.release()

            threads = [threading.Thread(target=wait, daemon=True) for _ in range(2)]
            for thread in threads:
                thread.start()
            start.wait(20)
            lock.release()
            for thread in threads:
                thread.join(20)
            assert not any(thread.is_alive() for thread in threads), "a waiter stood in a queue that nobody knows"
    finally:
        sys.setswitchinterval(interval)
