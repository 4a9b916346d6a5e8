"""Green functions that speak of wrong arguments in the words of the C functions they stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from dhagapatch._real import BUILTINS as __builtins__

__all__ = ["reduce_ex", "worded_by"]

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
    name = f"{kind.__module__}.{kind.__qualname__}" if "__reduce_ex__" in vars(kind) else kind.__name__
    raise TypeError(f"cannot pickle {name!r} object")
