"""Subclasses of a C type, made before the patch: they follow the type's green counterpart."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.green._thread import SimpleQueue
from dhagapatch.green.local import in_place
from dhagapatch.green.threadlocal import adopt_local
from dhagapatch.monkey.adopt import native_threads
from dhagapatch.monkey.adoptions import Adoption
from dhagapatch.monkey.frames import Frames
from dhagapatch.monkey.heap import instances, objects_of
from dhagapatch.monkey.rebind import Undo, rebind
from dhagapatch.monkey.report import Left, PatchReport

__all__ = ["follow"]


def follow(
    real: type, green: type, name: str, undo: list[Callable[[], object]], report: PatchReport, adoptions: list[Adoption]
) -> None:
    """Have the subclasses of `real`, which is called `name`, follow; the report says which could not."""
    subclasses: list[type] = real.__subclasses__()
    for kind in subclasses:
        if kind.__module__.startswith("dhagapatch") or kind is green or _moved(kind, real, green, undo, adoptions):
            continue
        methods = in_place(kind) if real is _real.local else None
        if methods is not None:
            for key, method in methods.items():
                setattr(kind, key, method)
                undo.append(Undo(delattr, kind, key))
            report.in_place.append(f"{kind.__module__}.{kind.__qualname__}")
            continue
        file = getattr(sys.modules.get(kind.__module__), "__file__", None)
        why = "its base is a C type that can't be exchanged; define it after the patch"
        report.left.append(Left(f"a subclass of {name}", kind.__module__, kind.__qualname__, file, None, why))


def _move_items(old: Any, new: Any) -> None:
    while not _real.SimpleQueue.empty(old):
        SimpleQueue.put(new, _real.SimpleQueue.get(old, False))


def _moved(kind: type, real: type, green: type, undo: list[Callable[[], object]], adoptions: list[Adoption]) -> bool:
    """Make `kind` again over the green base, in every place that holds it, instances included, if that can be."""
    if "__slots__" in vars(kind) or kind.__subclasses__() or type(kind) is not type or len(kind.__bases__) != 1:
        return False
    if getattr(green, "instances_stay", False) and instances(kind):
        return False  # what they have in C can't be had by others
    if real is not _real.local and native_threads() and instances(kind):
        return False  # they may be in the middle of one
    shown: Any = real.__repr__
    if real is _real.RLock and any("count=0" not in shown(thing) for thing in instances(kind)):
        return False  # a `with` block that is under way releases the native one
    namespace = {key: value for key, value in vars(kind).items() if key not in ("__dict__", "__weakref__")}
    moved: Any = type(kind.__name__, (green,), namespace)
    moved.__qualname__ = kind.__qualname__
    pairs: list[tuple[Any, Any]] = [(kind, moved)]
    for thing in objects_of([kind]):
        if real is _real.local:
            instance = adopt_local(thing, moved)
        else:
            instance = moved.__new__(moved)
            vars(instance).update(vars(thing))
            if real is _real.SimpleQueue:
                SimpleQueue.__init__(instance)
                _move_items(thing, instance)
        pairs.append((thing, instance))
    undo.extend(holder.undo for holder in rebind(pairs, private=[pairs, *pairs]) if holder.undo is not None)
    Frames().rebind(pairs)
    adoptions += [Adoption(old, new) for old, new in pairs]
    return True
