"""Green functions that speak of wrong arguments in the words of the C functions they stand for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["signed_as", "worded_by"]

F = TypeVar("F", bound=Callable[..., Any])


def signed_as(native: Any) -> Callable[[F], F]:
    """Give a green function the signature and the documentation of `native`, for `inspect` and `help`."""

    def decorate(green: F) -> F:
        if native is not None:
            green.__doc__ = native.__doc__
            try:
                green.__signature__ = inspect.signature(native)  # type: ignore[attr-defined]
            except (ValueError, TypeError):
                pass  # a C function that does not tell
        return green

    return decorate


def worded_by(native: Any) -> Callable[[F], F]:
    """Have `native` complain of a call whose arguments do not fit."""

    def decorate(green: F) -> F:
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return green(*args, **kwargs)
            except TypeError as error:
                # HAZARD: only if the arguments did not fit, nothing was done yet: then the called function has
                # no frame in the traceback
                if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
                    raise
            return native(*args, **kwargs)

        call.__name__ = green.__name__
        call.__qualname__ = green.__qualname__
        return signed_as(native)(call)  # type: ignore[return-value]

    return decorate
