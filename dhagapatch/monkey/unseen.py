"""Native objects that somebody still holds whom nobody finds: their reference counts tell."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import BuiltinFunctionType
from typing import Any

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.monkey.adopt import Adopted
from dhagapatch.monkey.heap import referrers_of
from dhagapatch.monkey.rebind import held_besides, is_ours, name_of, own_cells
from dhagapatch.monkey.report import Left

__all__ = ["unseen"]

_WHY = "a call that is under way holds it, and goes on with the native one"


def unseen(adopted: Adopted, pairs: list[tuple[Any, Any]], sought: set[int], known: Iterable[Any]) -> list[Left]:
    """What a call under way holds: it is one of its arguments, or the object of a method.

    Of what was adopted, and of the functions among `pairs` (native, green) whose ids are in `sought`.  `known` are holders
    of these, which spare the search for others.  Nothing if there are native threads: their calls go on natively.
    """
    if _real.thread_count():
        return []
    functions = {id(real): real for real, _ in pairs if id(real) in sought and type(real) is BuiltinFunctionType}
    names = {ident: name_of(function) for ident, function in functions.items()}
    names.update({ident: f"a {kind} made before the patch" for ident, (kind, _) in adopted.states.items()})
    targets = [real for real, _ in adopted.pairs if id(real) in adopted.states]
    targets += functions.values()
    holders = [functions, *pairs, *adopted.bookkeeping(), *known]
    return [Left(names[ident], None, "an unnamed value", None, None, _WHY) for ident in _held_out_of_sight(targets, holders)]


def _held_out_of_sight(targets: list[Any], known: list[Any]) -> list[int]:
    """The ids of those to which something refers that the collector does not know; nobody else has the list."""
    ours = [vars(module) for name, module in list(sys.modules.items()) if is_ours(name)]
    values = [one for namespace in ours for one in namespace.values()]
    kinds = {kind for kind in set(map(type, values)) if is_ours(kind.__module__)}
    own = [one for one in values if type(one) in kinds]
    values.clear()
    some = held_besides(targets, [*known, *ours, *own, *own_cells(ours), _real.BUILTINS])
    targets.clear()
    rest = held_besides(some, [one for one in referrers_of(some) if one is not some]) if some else []
    return [id(one) for one in rest]
