"""Subclasses of the native `local` that were made before the patch: class and objects stay, each dhaga has its data."""

from __future__ import annotations

from collections.abc import Callable
from types import GetSetDescriptorType
from typing import Any

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import running_dhaga
from dhagapatch.green.threadlocal import Locals, data_descriptor, dict_of, locals_of, new_dict

__all__ = ["in_place"]

_OURS = "\0dhagapatch"  # no attribute has this name
_object_get = object.__getattribute__


def in_place(kind: type) -> dict[str, Any] | None:
    """What the class needs in its namespace; None if it has methods of these names itself, or slots."""
    # HAZARD: the C type keeps a dictionary for each native thread.  The one that a Python subclass gives its objects lies
    # idle beside them, and is where ours goes: the garbage collector sees it, so it does not outlive the object.
    own = vars(kind).get("__dict__")
    methods = _methods(own.__get__) if type(own) is GetSetDescriptorType else {}
    if not methods or any(getattr(kind, name) is not getattr(_real.local, name) for name in methods):
        return None
    return methods


def _methods(idle_dict_of: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    def data_of(self: Any) -> Locals:
        idle = idle_dict_of(self)
        data = idle.get(_OURS)
        if data is None:
            # HAZARD: it may not refer to the object, which would be a cycle; nor weakly, since the collector clears weak
            # references before it calls the finalizers of its garbage, and those may use the object
            data = idle.setdefault(_OURS, locals_of(self))
        return data

    def new(cls: Any, /, *args: Any, **kwargs: Any) -> Any:
        self = _real.local.__new__(cls, *args, **kwargs)
        if (me := running_dhaga()) is not None:
            idle_dict_of(self)[_OURS] = data = Locals((args, kwargs))
            new_dict(data, me)  # `type.__call__` calls `__init__` for it
        return self

    def get(self: Any, name: str, /) -> Any:
        namespace = dict_of(data_of(self), self)
        if name == "__dict__":
            return namespace
        if not isinstance(name, str):
            return _object_get(self, name)  # raises
        if name in namespace and data_descriptor(type(self), name) is None:
            return namespace[name]
        return _object_get(self, name)

    def set(self: Any, name: str, value: Any, /) -> None:
        _not_the_dict(self, name)
        if (descriptor := data_descriptor(type(self), name)) is not None:
            type(descriptor).__set__(descriptor, self, value)  # `object.__setattr__` refuses objects of the C type
        else:
            dict_of(data_of(self), self)[name] = value

    def delete(self: Any, name: str, /) -> None:
        _not_the_dict(self, name)
        if (descriptor := data_descriptor(type(self), name)) is not None:
            type(descriptor).__delete__(descriptor, self)
            return
        try:
            del dict_of(data_of(self), self)[name]
            return
        except KeyError:
            pass  # what is raised has no context, as natively
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    return {"__new__": staticmethod(new), "__getattribute__": get, "__setattr__": set, "__delattr__": delete}


def _not_the_dict(self: Any, name: str) -> None:
    if name == "__dict__":
        raise AttributeError(f"'{type(self).__name__}' object attribute {name!r} is read-only")
    if not isinstance(name, str):
        _object_get(self, name)  # raises
