"""What stands for a callable that the user named for native threads.

It is a `wrapt.FunctionWrapper`: signature, binding, `isinstance`, `inspect` and attributes are those of what it stands for,
and it is pickled and copied like that, by its name.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable
from types import FunctionType, MethodDescriptorType
from typing import Any

import wrapt

from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.offload import OwnThread, offload

__all__ = ["AffineMethod", "Offloaded", "own_thread_of"]


class _Bound(wrapt.BoundFunctionWrapper):  # type: ignore[type-arg]
    """A method of an instance or a class, to be called on a native thread."""

    def __repr__(self) -> str:
        return repr(self.__wrapped__)

    def __reduce_ex__(self, protocol: Any) -> Any:
        wrapped = self.__wrapped__
        if isinstance(wrapped, FunctionType):  # a function of a class
            *path, name = wrapped.__qualname__.split(".")
            return getattr, (functools.reduce(getattr, path, sys.modules[wrapped.__module__]), name)
        return wrapped.__reduce_ex__(protocol)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self


class Offloaded(wrapt.FunctionWrapper):  # type: ignore[type-arg]
    """A callable that runs on a native thread while other dhagas run."""

    __bound_function_wrapper__ = _Bound

    def __init__(self, real: Any) -> None:
        super().__init__(real, _call)

    def __repr__(self) -> str:
        return repr(self.__wrapped__)

    def __reduce_ex__(self, protocol: Any) -> Any:
        if isinstance(self.__wrapped__, MethodDescriptorType):
            return getattr, (self.__wrapped__.__objclass__, self.__wrapped__.__name__)
        return self.__wrapped__.__qualname__

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self


class AffineMethod(Offloaded):
    """A method that runs on the native thread of its object."""

    def __init__(self, real: Any) -> None:
        super(Offloaded, self).__init__(real, _call_on_own)


def _call(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return offload(wrapped, *args, **kwargs)


# the native threads of objects, by the object's identity; each with a reference that takes it out when the object is gone
_threads: dict[int, tuple[weakref.ref[Any], OwnThread]] = {}


def own_thread_of(thing: Any) -> OwnThread:
    """The native thread of an object, which ends when the object is collected."""
    key = id(thing)
    entry = _threads.get(key)
    if entry is None:

        def gone(reference: weakref.ref[Any]) -> None:
            entry = _threads.get(key)
            if entry is not None and entry[0] is reference:
                del _threads[key]  # and the thread ends

        entry = _threads.setdefault(key, (weakref.ref(thing, gone), OwnThread()))
    return entry[1]


def _call_on_own(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    own = own_thread_of(instance)
    try:
        return own.call(wrapped, *args, **kwargs)
    finally:
        if wrapped.__name__ == "close":
            own.end()
