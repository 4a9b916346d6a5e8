"""Tracers, profilers and tools that are turned on while threads wait: these go on, and what they raise passes their frames."""

from __future__ import annotations

import cProfile
import ctypes
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

THREADS = 100


def ended_by_a_timeout(_: threading.Event, pair: Any) -> None:
    if not threading.Event().wait(0.05):
        raise TimeoutError("the event")


def ended_by_the_peer(event: threading.Event, pair: Any) -> None:
    event.wait()
    pair[0].recv(1)
    raise ConnectionError("the peer")


def ended_from_outside(_: threading.Event, __: Any) -> None:
    while True:
        time.sleep(0.001)


def not_ended(event: threading.Event, pair: Any) -> None:
    with pair[0].makefile("rb") as file:
        file.read(1)
    event.wait()


def _work(what: Callable[..., None], event: threading.Event, pair: Any, told: list[str]) -> None:
    try:
        what(event, pair)
        told.append(f"{what.__name__} returned")
    except BaseException as error:
        told.append(f"{what.__name__}: {error!r}")


def _run(t: Any, label: str, turn_on: Callable[[], Callable[[], object]]) -> None:
    told: list[str] = []
    event = threading.Event()
    pairs = [socket.socketpair() for _ in range(THREADS // 4)]
    threads = [
        threading.Thread(target=_work, args=(what, event, pair, told))
        for pair in pairs for what in (ended_by_a_timeout, ended_by_the_peer, ended_from_outside, not_ended)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    turn_off = turn_on()
    try:
        for thread in threads[2::4]:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(InterruptedError))
        event.set()
        for _, peer in pairs:
            peer.close()
        for thread in threads:
            thread.join()
    finally:
        turn_off()
    for pair in pairs:
        pair[0].close()
    t.note(label, sorted(set(told)), len(told))


def _nothing(*_: Any) -> None:
    return None


def case_a_trace_function(t: Any) -> None:
    def turn_on() -> Callable[[], object]:
        sys.settrace(_nothing)
        return lambda: sys.settrace(None)

    _run(t, "settrace", turn_on)


def case_a_profile_function(t: Any) -> None:
    def turn_on() -> Callable[[], object]:
        sys.setprofile(_nothing)
        return lambda: sys.setprofile(None)

    _run(t, "setprofile", turn_on)


def case_all_threads(t: Any) -> None:
    if not hasattr(threading, "settrace_all_threads"):
        t.note("not in this Python")
        return
    for name in ("settrace_all_threads", "setprofile_all_threads"):
        turn: Callable[[Any], object] = getattr(threading, name)

        def turn_on(turn: Callable[[Any], object] = turn) -> Callable[[], object]:
            turn(_nothing)
            return lambda: turn(None)

        _run(t, name, turn_on)


def case_a_profiler(t: Any) -> None:
    def turn_on() -> Callable[[], object]:
        profiler = cProfile.Profile()
        profiler.enable()
        return profiler.disable

    _run(t, "cProfile", turn_on)


def case_a_tool(t: Any) -> None:
    monitoring: Any = getattr(sys, "monitoring", None)
    if monitoring is None:
        t.note("not in this Python")
        return
    events, seen, program = monitoring.events, set(), {ended_by_a_timeout.__code__, ended_by_the_peer.__code__}

    def see(name: str) -> Callable[..., None]:
        def call(code: Any, *_: Any) -> None:
            if code in program:
                seen.add((name, code.co_name))

        return call

    # until 3.12 a frame that waits is told of nothing but exceptions before it calls, or goes round, again
    names = ["RAISE", "PY_UNWIND"]
    if sys.version_info >= (3, 13):
        names += ["LINE", "PY_RETURN", "CALL", "BRANCH", "EXCEPTION_HANDLED"]

    def turn_on() -> Callable[[], object]:
        monitoring.use_tool_id(monitoring.COVERAGE_ID, "a tool")
        for name in names:
            monitoring.register_callback(monitoring.COVERAGE_ID, getattr(events, name), see(name))
        monitoring.set_events(monitoring.COVERAGE_ID, sum(getattr(events, name) for name in names))

        def turn_off() -> None:
            monitoring.set_events(monitoring.COVERAGE_ID, 0)
            for name in names:
                monitoring.register_callback(monitoring.COVERAGE_ID, getattr(events, name), None)
            monitoring.free_tool_id(monitoring.COVERAGE_ID)

        return turn_off

    for _ in range(2):
        _run(t, "monitoring", turn_on)
    t.note(sorted(seen))
