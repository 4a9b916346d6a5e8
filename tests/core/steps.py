"""Other threads that act at a chosen moment, and no other, for the cases of `windows`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

from dhagapatch import _real
from dhagapatch.core import spawn
from dhagapatch.green import waiting

__all__ = ["Native", "Result", "Told", "before_once", "until"]


class Told:
    """What a native thread tells another one, once: the OS thread stands still until then."""

    def __init__(self) -> None:
        self._lock = _real.allocate_lock()
        self._lock.acquire()

    def tell(self) -> None:
        self._lock.release()

    def wait(self) -> None:
        assert self._lock.acquire(True, 15), "nobody has told it"


class Native:
    """A native thread that takes steps when it is told to; one may stop in the middle (`pause`), and goes on later (`go_on`)."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self._steps = [(step, Told(), Told()) for step in steps]
        self._next = iter(self._steps)
        self._done: Told | None = None
        self._on = Told()
        self.is_paused = False
        self.ident = int(_real.start_new_thread(self._run, ()))

    def _run(self) -> None:
        for step, go, done in self._steps:
            go.wait()
            self._done = done
            step()
            if self._done is not None:
                self._done.tell()

    def pause(self) -> None:
        """In the thread: its step counts as done, but it stops here."""
        self.is_paused = True
        done, self._done = self._done, None
        assert done is not None
        done.tell()
        self._on.wait()

    def go_on(self) -> None:
        self._on.tell()

    def step(self) -> None:
        """Have it take its next step, and wait until that is done: no dhaga runs meanwhile."""
        _, go, done = next(self._next)
        go.tell()
        done.wait()


@contextmanager
def before_once(kind: Any, name: str, act: Callable[[], object], when: Callable[..., bool] = lambda *_: True) -> Any:
    """Have `act` called just before the next call of a method for which `when` holds."""
    method = getattr(kind, name)
    acts = [act]

    def paused(*args: Any, **kwargs: Any) -> Any:
        if acts and when(*args):
            acts.pop()()
        return method(*args, **kwargs)

    setattr(kind, name, paused)
    try:
        yield acts
    finally:
        setattr(kind, name, method)


class Result:
    """A dhaga's value or exception, when it has one."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.values: list[Any] = []
        self.dhaga = spawn(self._run, function, args)

    def _run(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            self.values.append(function(*args))
        except BaseException as error:
            self.values.append(type(error))

    def get(self) -> Any:
        until(lambda: self.values)
        return self.values[0]


def until(done: Callable[[], object]) -> None:
    """Let the others run, and what is due come, until it is so."""
    while not done():
        waiting.sleep_until(_real.monotonic() + 0.001)
