"""What others had put in the place of a name before the patch: a debugger's wrapper, a mock, an agent that measures.

It stays: the program's calls go through it, as they did.  What it calls in turn, the function that was there first, is
exchanged wherever it is held, and so in the wrapper too.
"""

from __future__ import annotations

import sys
from types import BuiltinFunctionType
from typing import Any

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.monkey.table import REPLACE, SET, Row

__all__ = ["beneath", "owner_of", "who"]


def owner_of(row: Row) -> Any:
    """The module or class in which a row's name is: the standard library's, if the name of the class shows another one."""
    owner: Any = sys.modules[row.module]
    for part in row.name.split(".")[:-1]:
        found = getattr(owner, part)
        own = _real.pristine(owner, part) if row.action == SET else found
        owner = own if isinstance(own, type) else found
    return owner


def beneath(row: Row, owner: Any) -> Any:
    """The function or class that somebody's wrapper stands for; None where there is no wrapper.

    The wrapper itself, if nobody holds that any more: an alias of another name, say, of which one wrapper serves both.
    """
    if row.action not in (SET, REPLACE):
        return None
    there = vars(owner).get(row.name.rpartition(".")[2])
    if there is None or _real.is_own(there, sys.modules[row.module], row.name):
        return None
    if type(there) is BuiltinFunctionType:
        return None  # C code all the same
    return _real.pristine(sys.modules[row.module], row.name)


def who(wrapper: Any) -> str:
    """Whose a wrapper is, for the report."""
    wrapper = getattr(wrapper, "_self_wrapper", wrapper)  # of wrapt's
    kind = type(wrapper)
    named = wrapper if kind.__module__ in ("builtins", "functools") else kind
    function = getattr(named, "__func__", named)
    module = getattr(function, "__globals__", {}).get("__name__") or getattr(named, "__module__", None) or "unknown"
    return f"{module}.{getattr(function, '__qualname__', kind.__qualname__)}"
