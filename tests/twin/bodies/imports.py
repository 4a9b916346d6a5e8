"""Imports in threads: who waits for whose import, cycles, reloads, failures."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

# what modules under test meet the cases through
gates = types.SimpleNamespace()


@contextlib.contextmanager
def modules(**sources: str) -> Iterator[None]:
    """Modules of these sources, importable for a while."""
    with tempfile.TemporaryDirectory() as folder:
        for name, source in sources.items():
            with open(os.path.join(folder, f"{name}.py"), "w") as file:
                file.write("from imports import gates\n" + source)
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
        gates.entered, gates.release = threading.Event(), threading.Event()
        try:
            yield
        finally:
            sys.path.remove(folder)
            for name in sources:
                sys.modules.pop(name, None)


def started(function: Callable[..., object], *args: Any) -> threading.Thread:
    thread = threading.Thread(target=function, args=args)
    thread.start()
    return thread


def case_an_import_is_waited_for(t: Any) -> None:
    with modules(slow="gates.entered.set()\ngates.release.wait()\nvalue = 42\n"):
        seen: list[Any] = []

        def load() -> None:
            import slow  # type: ignore[import-not-found]

            seen.append(getattr(slow, "value", "half made"))

        first = started(load)
        gates.entered.wait()
        others = [started(load) for _ in range(3)]
        others[0].join(0.02)
        t.note(seen, others[0].is_alive(), "slow" in sys.modules)
        gates.release.set()
        for thread in (first, *others):
            thread.join()
        t.note(seen)


def case_other_imports_go_on(t: Any) -> None:
    with modules(slow="gates.entered.set()\ngates.release.wait()\n", quick="value = 1\n"):
        first = started(importlib.import_module, "slow")
        gates.entered.wait()
        seen: list[int] = []
        second = started(lambda: seen.append(importlib.import_module("quick").value))
        second.join()
        t.note(seen, first.is_alive())
        t.note(importlib.import_module("quick").value, __import__("colorsys").__name__)
        gates.release.set()
        first.join()


def case_a_cycle_between_threads(t: Any) -> None:
    """Two threads that import two modules which import each other: no deadlock."""
    sources = {
        "left": "gates.both.wait()\nimport right\nvalue = 'left'\n",
        "right": "gates.both.wait()\nimport left\nvalue = 'right'\n",
    }
    with modules(**sources):
        gates.both = threading.Barrier(2)
        seen: list[str] = []
        threads = [started(lambda name=name: seen.append(importlib.import_module(name).value)) for name in sources]
        for thread in threads:
            thread.join()
        t.note(sorted(seen))


def case_a_cycle_in_one_thread(t: Any) -> None:
    with modules(left="import right\nvalue = right.value\n", right="import left\nvalue = hasattr(left, 'value')\n"):
        t.note(importlib.import_module("left").value)


def case_an_import_that_fails(t: Any) -> None:
    with modules(failing="gates.count.append(1)\ngates.entered.set()\ngates.release.wait()\nraise ValueError('in the module')\n"):
        gates.count = []
        seen: list[str] = []

        def load() -> None:
            try:
                import failing  # type: ignore[import-not-found]  # noqa: F401
            except ValueError as error:
                seen.append(str(error))

        first = started(load)
        gates.entered.wait()
        second = started(load)
        second.join(0.02)
        gates.release.set()
        first.join()
        second.join()
        t.note(seen, len(gates.count), "failing" in sys.modules)


def case_threads_in_an_import(t: Any) -> None:
    """A module that starts a thread and waits for it, which imports something else, and itself."""
    source = """
import threading
seen = []
def work():
    import quoprimime_of_ours
    seen.append(quoprimime_of_ours.value)
thread = threading.Thread(target=work)
thread.start()
thread.join()
def late():
    import starter
    seen.append(starter is not None)
later = threading.Thread(target=late)
later.start()
later.join(0.05)
alive = later.is_alive()
"""
    with modules(starter=source, quoprimime_of_ours="value = 5\n"):
        starter = importlib.import_module("starter")
        starter.later.join()
        t.note(starter.alive, starter.seen)


def case_reload_in_threads(t: Any) -> None:
    with modules(counted="gates.count.append(1)\nvalue = len(gates.count)\n"):
        gates.count = []
        module = importlib.import_module("counted")
        threads = [started(importlib.reload, module) for _ in range(5)]
        for thread in threads:
            thread.join()
        t.note(module.value == len(gates.count) > 1)


def case_many_threads_one_module(t: Any) -> None:
    with modules(once="import time\ngates.count.append(1)\ntime.sleep(0.01)\n"):
        gates.count = []
        seen: list[int] = []
        threads = [started(lambda: seen.append(id(importlib.import_module("once")))) for _ in range(20)]
        for thread in threads:
            thread.join()
        t.note(len(gates.count), len(set(seen)), len(seen))


def case_packages(t: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        package = os.path.join(folder, "parcel")
        os.mkdir(package)
        for name in ("__init__", "one", "two"):
            with open(os.path.join(package, f"{name}.py"), "w") as file:
                file.write("import time\ntime.sleep(0.005)\nname = __name__\n")
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
        try:
            seen: list[str] = []
            names = ["parcel.one", "parcel.two", "parcel", "parcel.one"]
            threads = [started(lambda name=name: seen.append(importlib.import_module(name).name)) for name in names]
            for thread in threads:
                thread.join()
            t.note(sorted(seen))
            t.outcome("missing", importlib.import_module, "parcel.three")
        finally:
            sys.path.remove(folder)
            for name in [name for name in sys.modules if name.partition(".")[0] == "parcel"]:
                del sys.modules[name]


def case_import_lock(t: Any) -> None:
    import _imp

    t.note(_imp.lock_held())
    _imp.acquire_lock()
    t.note(_imp.lock_held())
    _imp.release_lock()
    t.note(_imp.lock_held())
    t.outcome("not held", _imp.release_lock)
