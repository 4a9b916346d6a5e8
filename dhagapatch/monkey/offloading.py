"""From the names that a user gives for native threads to rows for the engine.

``module.function``, ``module.Class.method``, or ``module.Class`` for a class whose objects must stay on one native thread each.
A name is looked up in the modules that are imported; one whose module is not yet there waits for its import.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from types import FunctionType, MethodDescriptorType, ModuleType
from typing import Any, NamedTuple

from dhagapatch._ctypes import is_fixed, set_method
from dhagapatch._errors import PatchError
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.monkey.table import OFFLOAD, OFFLOAD_GROUPS, Row

__all__ = ["Later", "find", "groups_of", "is_fixed", "prefixes", "raw_attribute", "set_method"]

_SPECIAL = ("__init__", "__enter__", "__exit__", "__call__", "__iter__", "__next__")  # of a class with threads for its objects
_GENERATES = 0x20 | 0x80 | 0x200  # flags of code: generator, coroutine, asynchronous generator


class Later(NamedTuple):
    """A name whose module is not imported yet."""

    name: str


def groups_of(names: Iterable[str]) -> tuple[set[str], list[str]]:
    """The groups that are meant by some of the names, and the other names; PatchError for what is no name."""
    groups, rest = set(), []
    for name in names:
        first, _, attribute = name.partition(".")
        group = first.lstrip("_")
        if group in OFFLOAD_GROUPS:
            known = OFFLOAD_GROUPS[group]
            if attribute and attribute.partition(".")[0] not in known:
                raise PatchError(
                    f"offload={name!r}: of {group} these run on native threads, all together: {', '.join(known)}; say {group!r}"
                )
            groups.add(group)
        elif not attribute or not all(part.isidentifier() for part in name.split(".")):
            raise PatchError(
                f"offload={name!r}: a function's name with its module is needed, such as 'zlib.compress' or "
                f"'package.module.Class.method', or one of these groups: {', '.join(OFFLOAD_GROUPS)}"
            )
        elif first == "dhagapatch":
            raise PatchError(f"offload={name!r}: the runtime's own functions can't run on native threads")
        else:
            rest.append(name)
    return groups, rest


def prefixes(name: str) -> list[str]:
    """The modules at whose import the name may be found."""
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def find(name: str) -> list[Row] | Later:
    """The rows for a name; PatchError, with what to do, for one that can't be had."""
    parts = name.split(".")
    length = max((n for n in range(1, len(parts)) if ".".join(parts[:n]) in sys.modules), default=0)
    module = ".".join(parts[:length])
    if length:
        thing: Any = sys.modules[module]
        for at in range(length, len(parts)):
            before, thing = thing, raw_attribute(thing, parts[at])
            if thing is _MISSING:
                break
        else:
            return _rows(name, module, parts[length:], before, thing)
        if at > length or not _is_there(f"{module}.{parts[length]}"):
            raise PatchError(f"offload={name!r}: {'.'.join(parts[:at])} has no {parts[at]!r}")
    elif not _is_there(parts[0]):
        raise PatchError(f"offload={name!r}: there is no module {parts[0]!r}")
    return Later(name)


_MISSING = object()


def raw_attribute(owner: Any, name: str) -> Any:
    """What `owner` holds as `name`: of a class the descriptor itself."""
    if isinstance(owner, type):
        return next((vars(kind)[name] for kind in owner.__mro__ if name in vars(kind)), _MISSING)
    if isinstance(owner, ModuleType) and name not in vars(owner):
        return getattr(owner, name, _MISSING)  # a module may make its attributes when they are asked for
    return getattr(owner, name, _MISSING)


def _is_there(module: str) -> bool:
    """Whether a module could be imported; its package has been."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, AttributeError, ValueError):
        return False


def _rows(name: str, module: str, path: list[str], owner: Any, thing: Any) -> list[Row]:
    if isinstance(thing, type):
        return _affine_rows(name, module, path, thing)
    inner = getattr(thing, "__func__", thing)
    if not callable(inner):
        raise PatchError(f"offload={name!r}: it is no function or method, but {type(thing).__name__!r}")
    if isinstance(inner, FunctionType) and inner.__code__.co_flags & _GENERATES:
        raise PatchError(f"offload={name!r}: calling a generator or coroutine function runs nothing yet; name what it calls")
    if isinstance(owner, type) and is_fixed(owner) and (
        path[-1] not in vars(owner) or not isinstance(inner, MethodDescriptorType) or path[-1].startswith("__")
    ):  # fmt: skip
        raise PatchError(
            f"offload={name!r}: of the C type {owner.__name__!r} only plain methods of its own can be exchanged; name "
            f"another method, or a function that calls this one"
        )
    if not isinstance(owner, (type, ModuleType)):
        raise PatchError(f"offload={name!r}: {'.'.join([module, *path[:-1]])} is neither a module nor a class")
    return [_row(module, path, "Offloaded")]


def _affine_rows(name: str, module: str, path: list[str], kind: type) -> list[Row]:
    if is_fixed(kind):
        raise PatchError(
            f"offload={name!r}: the objects of a C type can't be given native threads of their own; name its methods, or a "
            "Python class that has one"
        )
    if not kind.__weakrefoffset__:
        raise PatchError(f"offload={name!r}: a class whose objects can't be referred to weakly (__slots__ without '__weakref__')")
    names = dict.fromkeys(one for base in kind.__mro__ if base is not object for one in vars(base))
    rows = []
    for one in names:
        raw = raw_attribute(kind, one)
        generates = isinstance(raw, FunctionType) and raw.__code__.co_flags & _GENERATES
        if isinstance(raw, (FunctionType, MethodDescriptorType)) and not generates and (one in _SPECIAL or one[0] != "_"):
            rows.append(_row(module, [*path, one], "AffineMethod"))
    return rows


def _row(module: str, path: list[str], source: str) -> Row:
    return Row(module, ".".join(path), f"offload:{source}", "offload", OFFLOAD, why="named by the user")
