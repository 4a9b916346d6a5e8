"""Methods of other packages' C types are exchanged for ones that let other dhagas run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, TypeVar

from dhagapatch import _real
from dhagapatch._ctypes import set_method
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import offload_wait, running_dhaga

__all__ = ["Exchange", "blocking", "comes_through", "in_another_interpreter", "looks_like", "on_a_native_thread"]

F = TypeVar("F", bound=Callable[..., Any])


class Exchange:
    """What a package's `install` did; calling it takes that back."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self._back = list(steps)

    def method(self, kind: type, name: str, green: Callable[[Any], Any]) -> None:
        """Have `kind` call `green(real)` in place of its method `name`, if it has one."""
        real = vars(kind).get(name)
        if real is not None and set_method(kind, name, green(real)):
            self._back.append(partial(set_method, kind, name, real))

    def __call__(self) -> None:
        for step in reversed(self._back):
            step()


def looks_like(real: Callable[..., Any]) -> Callable[[F], F]:
    """For what stands for `real`, and calls it, to have its names.

    HAZARD: the module stays, or the patcher would take it for the program's, and have it call itself.
    """
    return wraps(real, assigned=("__name__", "__qualname__", "__doc__"))  # type: ignore[return-value]


def on_a_native_thread(real: Callable[..., Any]) -> Callable[..., Any]:
    """A function of C code that waits until something has happened: a message has come, another dhaga has done its part."""

    @looks_like(real)
    def runs(*args: Any, **kwargs: Any) -> Any:
        return offload_wait(real, *args, **kwargs)

    return runs


def in_another_interpreter(real: Callable[..., Any]) -> Callable[..., Any]:
    """As `on_a_native_thread`; what runs there sees the name that the caller has for the system (since 3.14)."""

    @looks_like(real)
    def named(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        before = _real.get_name()
        _real.set_name(name)
        try:
            return real(*args, **kwargs)
        finally:
            _real.set_name(before)

    @looks_like(real)
    def runs(*args: Any, **kwargs: Any) -> Any:
        name = getattr(running_dhaga(), "os_name", None)
        return offload_wait(real, *args, **kwargs) if name is None else offload_wait(named, name, args, kwargs)

    return runs


def blocking(real: Callable[..., Any]) -> Callable[..., Any]:
    """As `on_a_native_thread`, unless it is told ``blocking=False``."""

    @looks_like(real)
    def runs(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("blocking", True):
            return offload_wait(real, *args, **kwargs)
        return real(*args, **kwargs)

    return runs


def comes_through(real: Callable[..., Any]) -> Callable[..., Any]:
    """A function that never waits, and is called in a loop until another thread has done something: it pays for its turn."""

    @looks_like(real)
    def runs(*args: Any, **kwargs: Any) -> Any:
        return real(*args, **kwargs)

    return runs
