"""What there is in memory: who refers to an object, and what there is of a class."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from typing import Any

from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import compiled

__all__ = ["instances", "objects_of", "referrers_of", "subclasses_of"]


def referrers_of(things: list[Any]) -> list[Any]:
    """Who refers to one of them: all that the collector knows."""
    return compiled.speedups.referrers(things) if compiled.speedups is not None else gc.get_referrers(*things)


def objects_of(kinds: Iterable[type]) -> list[Any]:
    """The objects of these very classes; of what the collector does not know, those to which one that it knows refers."""
    wanted = set(kinds)
    if compiled.speedups is not None:
        found = compiled.speedups.objects_of([*wanted])
    else:
        things = gc.get_objects()
        found = [thing for thing in things if type(thing) in wanted]
        found += [thing for thing in gc.get_referents(*things) if type(thing) in wanted and not gc.is_tracked(thing)]
    return [*{id(thing): thing for thing in found}.values()]


def subclasses_of(kind: type) -> set[type]:
    """A class and all that are made of it."""
    kinds = {kind}
    todo = [kind]
    while todo:
        subclasses: list[type] = type.__subclasses__(todo.pop())
        todo += [one for one in subclasses if one not in kinds]
        kinds.update(subclasses)
    return kinds


def instances(kind: type) -> list[Any]:
    """All objects of this class, and of those made of it, that there are."""
    return objects_of(subclasses_of(kind))
