"""Green functions that speak of wrong arguments in the words of the C functions they stand for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import FunctionType, MethodDescriptorType
from typing import Any, TypeVar

from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import compiled, sync
from dhagapatch.core.entry import enter_methods, entry_method

__all__ = ["reduce_ex", "stand_for", "worded_by"]

F = TypeVar("F", bound=Callable[..., Any])


def worded_by(native: Any) -> Callable[[F], F]:
    """Have `native` complain of a call whose arguments do not fit: `core.entry` asks for it."""

    def decorate(green: F) -> F:
        green.native = native  # type: ignore[attr-defined]
        return green

    return decorate


def reduce_ex(self: Any, protocol: Any, /) -> Any:
    """What pickle and copy call: as natively, only a subclass that says how is pickled."""
    kind: Any = type(self)
    says_how = kind.__reduce__ is not object.__reduce__ or kind.__getstate__ is not object.__getstate__
    if says_how or hasattr(kind, "__getnewargs__") or hasattr(kind, "__getnewargs_ex__"):
        return object.__reduce_ex__(self, protocol)
    name = f"{kind.__module__}.{kind.__qualname__}" if protocol >= 2 and "__reduce_ex__" in vars(kind) else kind.__name__
    raise TypeError(f"cannot pickle {name!r} object")


def _of_python(kind: type, native: type) -> list[str]:
    """The methods of `native` that `kind` has as functions in Python.

    What locks are taken with is left: it may be exchanged (`inspect.locks`), and through C it would cost twice as much.
    """
    return [
        name
        for name, method in vars(native).items()
        if type(method) is MethodDescriptorType
        and type(function := getattr(kind, name, None)) is FunctionType
        and (function.__module__ != sync.__name__ or function.__name__ == "locked")
    ]


def _name_type() -> Callable[[type, str, bool], None]:
    compiled_one: Any = getattr(compiled.speedups, "name_type", None)
    return compiled_one or importlib.import_module("dhagapatch._names").name_type


def stand_for(kind: type, native: type, model: Callable[[Any], Any] | None = None) -> None:
    """Have a class look like the one of C that it stands for: name, module, description; in errors, and pickled as that.

    `model` gives an object of `native` for one of `kind`.  Arguments that fit no method of `kind` are given to that, to complain.
    """
    if model is not None:
        enter_methods(kind, *_of_python(kind, native), real=native, cost=0, model=model)
        class_: Any = kind
        made = class_.__init__
        if type(made) is FunctionType and made.__module__ != sync.__name__:

            def complain(_: object, /, *args: Any, **kwargs: Any) -> None:
                native(*args, **kwargs)

            class_.__init__ = entry_method(made, made, 0, words=complain)
    kind.__module__, kind.__name__, kind.__qualname__ = native.__module__, native.__name__, native.__qualname__
    kind.__doc__ = native.__doc__
    kind.__reduce_ex__ = reduce_ex  # type: ignore[method-assign, assignment]
    _name_type()(kind, f"{native.__module__}.{native.__name__}", not native.__flags__ & _BASE)


_BASE = 1 << 10  # a flag of a type: it may have subclasses
