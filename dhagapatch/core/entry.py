"""The way into a patched call, and out of it.

What the table puts in the place of a C function is itself called through C: by the compiled part's `entry`, or by what the
standard library has of that kind.  That is for three things, and no call has a way round them:

* The call pays for itself (`budget`), before it does anything.
* A signal's handler runs at its end.  The interpreter looks for signals when a call of C code has ended, in the frame of the
  caller; and a handler that is due while the runtime is at work is left due until a look finds the program's own frame
  (`green.signal`).  A Python function in that place would be entered, and left, without such a look.
* With the compiled part, what it raises does not show the runtime's frames, as natively it has none.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

from dhagapatch._config import SETTINGS
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.budget import CALL, charge, on_spent
from dhagapatch.core.extension import speedups
from dhagapatch.core.hub import parking_hub
from dhagapatch.core.interrupts import deliver_all, deliver_handlers

__all__ = ["CALLER", "enter_methods", "entry_function", "entry_method", "give_way"]


# how far above a function with words of its own (`worded_by`) its caller stands, as `warnings.warn` counts
CALLER = 3 if speedups is None else 2


def give_way(quick: bool = True) -> None:
    """Let the others run, if there are any; `quick`: this is no wait, so a kill is left for the next one, and handlers run."""
    hub = parking_hub()
    if hub is not None:
        hub.rest(deliver_handlers if quick else deliver_all)


on_spent(give_way)
if speedups is not None:
    speedups.setup_entry("" if SETTINGS.frames else "dhagapatch.")


def entry_function(function: Callable[..., Any], real: Any, cost: int = CALL, quick: bool = False) -> Any:
    """What stands for the built-in function `real`: no descriptor, pickled by its name, shown as built-in.

    A Python function in its place would turn into a method when it is a class attribute
    (``class Retry: sleep = time.sleep``).
    """
    if speedups is not None:
        return speedups.entry(function, real, cost, quick, _words_for(function, real), False)
    return _Builtin.standing_for(real, _in_python(function, cost, quick, _words_for(function, real)))


def _words_for(function: Any, real: Any) -> Any:
    """Who is to complain of arguments that do not fit: `real`, if C code is natively what is called."""
    return getattr(function, "native", None if isinstance(real, FunctionType) else real)


def entry_method(function: Callable[..., Any], real: Any, cost: int = CALL, quick: bool = False, words: Any = None) -> Any:
    """What stands for the method `real`; it binds."""
    if words is None:
        words = _words_for(function, real)
    if speedups is not None:
        return speedups.entry(function, real, cost, quick, words, True)
    call = _in_python(function, cost, quick, words)
    if call is not function:
        functools.update_wrapper(call, function)
    through_c: Any = functools.lru_cache(maxsize=0)(call)  # it keeps nothing, and is C code that binds
    for attribute in ("__name__", "__qualname__", "__doc__", "__module__"):
        value = getattr(real, attribute, None)
        if isinstance(value, str):
            setattr(through_c, attribute, value)
    return through_c


def enter_methods(
    kind: type, *names: str, real: Any = None, cost: int = CALL, quick: bool = False, model: Callable[[Any], Any] | None = None
) -> None:
    """Have these methods of a class, its own or inherited, called in this way.

    `real` is the class for which it stands, and `model` gives an object of that, for one of `kind`: it is asked to do the same
    where the arguments do not fit, and complains.
    """
    for name in names:
        words = None if model is None else _complaining(model, name)
        setattr(kind, name, entry_method(getattr(kind, name), getattr(real or kind, name), cost, quick, words))


def _complaining(model: Callable[[Any], Any], name: str) -> Callable[..., Any]:
    def complain(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        thing = model(self)
        return getattr(type(thing), name)(thing, *args, **kwargs)  # as code calls it: a bound method words some in another way

    return complain


def _in_python(function: Callable[..., Any], cost: int, quick: bool, native: Any) -> Callable[..., Any]:
    if native is None:
        if not cost:
            return function

        def call(*args: Any, **kwargs: Any) -> Any:
            charge(cost, quick)
            return function(*args, **kwargs)

        return call

    def worded_call(*args: Any, **kwargs: Any) -> Any:
        if cost:
            charge(cost, quick)
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            # HAZARD: only if the arguments did not fit, nothing was done yet: then the called function has
            # no frame in the traceback
            if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
                raise
        return native(*args, **kwargs)

    return worded_call


class _Builtin:
    """Without the compiled part: an instance is called through C, too."""

    __slots__ = ("__dict__", "__weakref__")

    __name__: str

    @staticmethod
    def standing_for(real: Any, function: Callable[..., Any]) -> Any:
        """An instance of a class of its own, which has the function."""
        name = real.__name__
        module = real.__module__ or "builtins"
        kind = type(
            "builtin_function_or_method",
            (_Builtin,),
            {"__call__": staticmethod(function), "__slots__": (), "__doc__": real.__doc__, "__module__": "builtins"},
        )
        self: Any = kind()
        self.__name__, self.__qualname__, self.__self__ = name, name, sys.modules.get(module)
        self.__module__, self.__wrapped__, self._real = module, function, real
        return self

    def __repr__(self) -> str:
        return f"<built-in function {self.__name__}>"

    @property
    def __signature__(self) -> Any:
        """That of the function it stands for; ValueError, as natively, if that does not tell."""
        from inspect import signature

        return signature(self._real)  # type: ignore[attr-defined]

    def __reduce__(self) -> str:
        return self.__name__

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self
