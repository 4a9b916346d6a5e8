"""Find who holds an object, and have them hold another one instead.

The garbage collector knows the containers that refer to an object.  What can be changed is changed: module globals, class
attributes, instance attributes and slots, dictionary values, list, deque and set items, function defaults,
closure cells, partials, static methods.  What can't (tuples, C structures) is reported.

HAZARD: the patcher sees itself: its journal, `_real`, its tables and frames hold the objects too.  Whatever belongs to a
module, class or function of this package is left alone.
"""

from __future__ import annotations

import gc
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable
from functools import partial as _Partial
from types import CellType, FrameType, FunctionType, MethodDescriptorType, MethodType, ModuleType
from typing import Any, NamedTuple

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.monkey.heap import referrers_of

__all__ = ["KEPT", "Holder", "Undo", "held_besides", "is_ours", "name_of", "own_cells", "rebind"]

_PACKAGE = __name__.partition(".")[0]
KEPT: set[int] = set()  # the ids of what frames keep, in tuples that nobody else knows, of variables that were exchanged
# what holds for somebody else
_INNER = (dict, tuple, list, deque, set, staticmethod, classmethod, CellType)


class Undo:
    """A call to be made later; `functools.partial` keeps its arguments in a tuple, where they would be found."""

    __slots__ = ("args", "function")

    def __init__(self, function: Callable[..., object], *args: Any) -> None:
        self.function = function
        self.args = list(args)

    def __call__(self) -> None:
        self.function(*self.args)


class Holder(NamedTuple):
    """Where an object was held; `done` says whether it could be changed."""

    target: int  # id of the object
    holder: str
    name: str
    module: str | None
    file: str | None
    line: int | None  # if it was at hand; the report finds it otherwise
    done: bool
    undo: Callable[[], object] | None



def is_ours(module_name: object) -> bool:
    return isinstance(module_name, str) and (module_name == _PACKAGE or module_name.startswith(_PACKAGE + "."))


def _is_green(kind: type) -> bool:
    """Whether it is a class of ours, or made of one; those that stand for the standard library's bear its module's name."""
    for base in kind.__mro__:
        if is_ours(base.__module__):
            return True
        for name in ("__init__", "__new__"):
            method = base.__dict__.get(name)
            if is_ours(getattr(getattr(method, "__func__", method), "__module__", None)):
                return True
    return False


def _file_of(module_name: str | None) -> str | None:
    return getattr(sys.modules.get(module_name or ""), "__file__", None)


def _is_copy(owner: Any, things: list[Any]) -> bool:
    """Whether it is the arguments of `gc.get_referrers`, which 3.13 copies and then finds."""
    if type(owner) is not tuple or len(owner) != len(things):
        return False
    return all(item is thing for item, thing in zip(owner, things, strict=True))


class _Rebinder:
    def __init__(self, pairs: Iterable[tuple[Any, Any]], private: Iterable[Any]) -> None:
        self.pairs = list(pairs)
        self.new = {id(old): new for old, new in self.pairs}
        self.found: list[Holder] = []
        self.sought: list[Any] = []  # the objects whose holders only the collector knows
        self.functions: dict[int, list[Any]] = {}  # by the tuple that has their cells
        self.known = list(private)  # they hold the objects, and are left alone
        self.private = {id(thing) for thing in self.known}
        # HAZARD: every function of this package refers to it: who owns it would be asked of each
        self.private.add(id(_real.BUILTINS))
        # the references of this package's own bookkeeping
        self.known += self.pairs
        self.private |= {id(self.pairs), id(self.new), id(self.known), *(id(pair) for pair in self.pairs)}
        # a C function that ctypes made refers to itself
        self.private |= {id(old) for old, _ in self.pairs if not isinstance(old, type)}
        # HAZARD: a static C type is not known to the collector, so its dictionary looks like one that nobody owns
        kinds = {old.__objclass__ for old, _ in self.pairs if isinstance(old, MethodDescriptorType)}
        namespaces = [mapping for kind in kinds for mapping in gc.get_referents(vars(kind))]
        self.known += namespaces
        self.private |= {id(mapping) for mapping in namespaces} | {id(namespaces)}
        self.modules = {id(vars(module)): module for module in list(sys.modules.values()) if isinstance(module, ModuleType)}

    def run(self) -> list[Holder]:
        targets = [old for old, _ in self.pairs]
        self.private.add(id(targets))
        referrers: list[Any] = self._modules_with_some()
        self.private |= {id(referrers), *map(id, referrers)}
        self.sought = self._held_by_others(targets, referrers)
        self.private.add(id(self.sought))
        if self.sought:
            referrers += [one for one in referrers_of(self.sought) if id(one) not in self.private]
        inner = [one for one in referrers if type(one) in _INNER]
        self.private.add(id(inner))
        owners = self._owners(inner)
        closures = [owner for one in inner if type(one) is CellType for owner in owners.get(id(one), ()) if type(owner) is tuple]
        self.private.add(id(closures))
        self.functions = self._owners(closures)
        for one in referrers:
            if isinstance(one, FrameType):
                continue
            try:
                self._one(one, owners.get(id(one), []))
            except Exception:  # its class refuses it
                for old in gc.get_referents(one):
                    if id(old) in self.new:
                        self._add(old, f"an instance of {type(one).__qualname__}", "a value", None, type(one).__module__)
        return self.found

    def _modules_with_some(self) -> list[dict[str, Any]]:
        """The namespaces that have one of the objects, or more."""
        namespaces = [vars(module) for module in self.modules.values()]
        return [one for one in namespaces if not self.new.keys().isdisjoint(map(id, one.values()))]

    def _held_by_others(self, targets: list[Any], namespaces: list[dict[str, Any]]) -> list[Any]:
        """Those of the objects that somebody else holds than these modules and this package's own bookkeeping.

        Their reference counts tell; most have nobody else.  To look for holders costs a comparison of each object that is
        looked for with every reference that there is in the process.
        """
        cells = own_cells([vars(module) for module in self.modules.values() if is_ours(module.__name__)])
        undos = [one.args for things in self.known if type(things) is list for one in things if type(one) is Undo]
        return held_besides(targets, [*namespaces, *self.known, *undos, *cells])

    def _owners(self, things: list[Any]) -> dict[int, list[Any]]:
        """Who refers to containers, static methods and cells: they are nobody by themselves."""
        things = [thing for thing in things if id(thing) not in self.modules]
        ids = {id(thing) for thing in things}
        owners: dict[int, list[Any]] = {}
        self.private.add(id(things))
        for owner in referrers_of(things) if things else ():
            if id(owner) in self.private or owner is things or isinstance(owner, FrameType) or _is_copy(owner, things):
                continue
            for referent in gc.get_referents(owner):
                if id(referent) in ids:
                    owners.setdefault(id(referent), []).append(owner)
        return owners

    def _one(self, one: Any, owners: list[Any]) -> None:
        if id(one) in self.modules:
            module = self.modules[id(one)]
            if not is_ours(module.__name__):
                self._dictionary(one, f"module {module.__name__}", module.__name__)
        elif isinstance(one, dict):
            self._owned_dictionary(one, owners)
        elif isinstance(one, (list, deque, set)):
            if not any(map(self._is_own, owners)):
                self._set(one) if isinstance(one, set) else self._sequence(one)
        elif isinstance(one, tuple):
            self._tuple(one, owners)
        elif isinstance(one, CellType):
            self._cell(one, owners)
        elif isinstance(one, (staticmethod, classmethod)):
            self._descriptor(one, owners)
        elif type(one) is _Partial:
            self._partial(one)
        elif isinstance(one, (type, FunctionType, MethodType, ModuleType)):
            pass  # seen through their dictionaries, defaults and cells
        elif type(one).__module__ in ("builtins", "_thread") and not hasattr(one, "__dict__"):
            pass  # descriptors of a C type, bound methods of a lock: followed by who rebinds locks
        else:
            self._instance(one)

    def _is_own(self, owner: Any) -> bool:
        """Whether it is an object of this package, or the namespace of one of its modules."""
        module = self.modules.get(id(owner))
        return is_ours(type(owner).__module__ if module is None else module.__name__)

    def _add(
        self, old: Any, holder: str, name: object, undo: Callable[[], object] | None, module: str | None = None,
        file: str | None = None, line: int | None = None,
    ) -> None:  # fmt: skip
        self.found.append(
            Holder(id(old), holder, str(name), module, file or _file_of(module), line, undo is not None, undo)
        )

    def _items(self, mapping: dict[Any, Any]) -> list[tuple[Any, Any]]:
        return [(key, value) for key, value in list(mapping.items()) if id(value) in self.new]

    def _dictionary(self, mapping: dict[Any, Any], holder: str, module: str | None) -> None:
        for key, old in self._items(mapping):
            new = mapping[key] = self.new[id(old)]
            self._add(old, holder, key, Undo(_put_back, mapping, key, new, old), module)

    def _owned_dictionary(self, mapping: dict[Any, Any], owners: list[Any]) -> None:
        for owner in owners:
            if isinstance(owner, type):
                if not is_ours(owner.__module__):
                    self._class(owner, mapping)
                return
            if isinstance(owner, FunctionType) and owner.__kwdefaults__ is mapping:
                if not is_ours(owner.__module__):
                    self._dictionary(mapping, f"keyword default of {owner.__qualname__}()", owner.__module__)
                return
            if is_ours(type(owner).__module__):
                return
            if getattr(owner, "__dict__", None) is mapping:
                self._dictionary(mapping, f"an instance of {type(owner).__qualname__}", type(owner).__module__)
                return
        self._dictionary(mapping, "a dictionary", None)

    def _class(self, owner: type, mapping: dict[str, Any]) -> None:
        for key, old in self._items(mapping):
            new = self.new[id(old)]
            # HAZARD: a built-in function is no descriptor, a Python function is: without this it would be
            # called with the instance as its first argument
            value = staticmethod(new) if isinstance(new, FunctionType) and not hasattr(old, "__get__") else new
            try:
                setattr(owner, key, value)
            except (AttributeError, TypeError):
                self._add(old, f"class {owner.__qualname__}", key, None, owner.__module__)
                continue
            self._add(old, f"class {owner.__qualname__}", key, Undo(_set_back, owner, key, value, old), owner.__module__)

    def _sequence(self, sequence: Any) -> None:
        for index, old in enumerate(list(sequence)):
            if id(old) in self.new:
                new = sequence[index] = self.new[id(old)]
                self._add(old, f"a {type(sequence).__name__}", index, Undo(_exchange_item, sequence, index, new, old))

    def _set(self, group: set[Any]) -> None:
        for old in list(group):
            if id(old) in self.new:
                new = self.new[id(old)]
                group.discard(old)
                group.add(new)
                self._add(old, "a set", "item", Undo(_exchange, group, new, old))

    def _tuple(self, items: tuple[Any, ...], owners: list[Any]) -> None:
        if not owners or any(id(owner) in self.new for owner in owners):
            return  # a frame's, or a C function's arguments; or of the C type itself
        if _is_copy(items, self.sought):
            return
        if any(isinstance(new, type) and (new.__mro__ is items or new.__bases__ is items) for new in self.new.values()):
            return
        for owner in owners:
            if isinstance(owner, FunctionType) and owner.__defaults__ is items:
                if not is_ours(owner.__module__):
                    new = owner.__defaults__ = tuple(self.new.get(id(item), item) for item in items)
                    for old in items:
                        if id(old) in self.new:
                            code = owner.__code__
                            self._add(
                                old, f"default of {owner.__qualname__}()", "default",
                                Undo(_set_back, owner, "__defaults__", new, items), owner.__module__,
                                code.co_filename, code.co_firstlineno,
                            )  # fmt: skip
                return
            if isinstance(owner, type) and (owner.__mro__ is items or owner.__bases__ is items):
                return
        for owner in owners:
            if isinstance(owner, (MethodType, FrameType)) or self._is_own(owner):
                return
        if id(items) in KEPT or (not owners and KEPT.issuperset(map(id, items))):
            return
        for old in items:
            if id(old) in self.new:
                module_name, name = self._name_of(items, owners)
                file = _file_of(module_name)
                self._add(old, "a tuple", name, None, module_name, file)

    def _name_of(self, thing: Any, owners: list[Any]) -> tuple[str | None, str]:
        for owner in owners:
            if isinstance(owner, dict):
                module = self.modules.get(id(owner))
                for key, value in owner.items():
                    if value is thing:
                        return (module.__name__ if module else None, str(key))
        return None, "a tuple"

    def _cell(self, cell: Any, owners: list[Any]) -> None:
        for owner in owners:
            if isinstance(owner, tuple):
                functions = (one for one in self.functions.get(id(owner), ()) if isinstance(one, FunctionType))
                if any(is_ours(function.__module__) for function in functions):
                    return
        old = cell.cell_contents
        new = cell.cell_contents = self.new[id(old)]
        self._add(old, "a closure", "cell", Undo(_set_back, cell, "cell_contents", new, old))

    def _descriptor(self, descriptor: Any, owners: list[Any]) -> None:
        old = descriptor.__func__
        for owner in owners:
            for kind in referrers_of([owner]) if isinstance(owner, dict) else ():
                if isinstance(kind, type) and not is_ours(kind.__module__):
                    for key, value in list(vars(kind).items()):
                        if value is descriptor:
                            new = type(descriptor)(self.new[id(old)])
                            setattr(kind, key, new)
                            undo = Undo(_set_back, kind, key, new, descriptor)
                            self._add(old, f"class {kind.__qualname__}", key, undo, kind.__module__)

    def _partial(self, one: Any) -> None:
        function, args, keywords = one.func, one.args, one.keywords
        state = (function, args, keywords, vars(one))
        swap = self.new.get
        one.__setstate__(
            (
                swap(id(function), function),
                tuple(swap(id(arg), arg) for arg in args),
                {key: swap(id(value), value) for key, value in keywords.items()},
                vars(one),
            )
        )
        for old in (function, *args, *keywords.values()):
            if id(old) in self.new:
                self._add(old, "a functools.partial", "func", Undo(one.__setstate__, state))

    def _instance(self, one: Any) -> None:
        kind = type(one)
        if is_ours(kind.__module__):
            return
        holder = f"an instance of {kind.__qualname__}"
        namespace = getattr(one, "__dict__", None)
        found = False
        if isinstance(namespace, dict):
            for key, old in self._items(namespace):
                new = namespace[key] = self.new[id(old)]
                self._add(old, holder, key, Undo(_put_back, namespace, key, new, old), kind.__module__)
                found = True
        if _is_green(kind):
            # HAZARD: green classes bear the module of the ones that they stand for; their slots hold the real
            # objects on purpose
            return
        for base in kind.__mro__:
            slots = base.__dict__.get("__slots__", ())
            if "__wrapped__" in base.__dict__:  # wrapt's proxies, in C
                slots = ("__wrapped__",)
            for slot in (slots,) if isinstance(slots, str) else slots:
                if slot.startswith("__") and not slot.endswith("__"):
                    slot = f"_{base.__name__.lstrip('_')}{slot}"
                old = getattr(one, slot, None)
                if id(old) in self.new:
                    new = self.new[id(old)]
                    setattr(one, slot, new)
                    self._add(old, holder, slot, Undo(_set_back, one, slot, new, old), kind.__module__)
                    found = True
        if not found and kind.__module__ not in ("builtins", "functools", "weakref"):
            for referent in gc.get_referents(one):
                if id(referent) in self.new and referent is not kind:
                    self._add(referent, holder, "a C structure", None, kind.__module__)


# the way back; HAZARD: the program may have put something else in the place since, or have taken it out


def _put_back(mapping: dict[Any, Any], key: Any, new: Any, old: Any) -> None:
    if dict.get(mapping, key) is new:  # HAZARD: a subclass may have a `get` of its own
        mapping[key] = old


def _set_back(owner: Any, name: str, new: Any, old: Any) -> None:
    try:
        now = vars(owner)[name] if isinstance(owner, type) else getattr(owner, name)
    except (AttributeError, KeyError, ValueError):  # an empty cell
        return
    except Exception:
        now = new  # it does not tell
    if now is new:
        setattr(owner, name, old)


def _exchange_item(sequence: Any, index: int, new: Any, old: Any) -> None:
    if index >= len(sequence) or sequence[index] is not new:
        index = next((place for place, item in enumerate(sequence) if item is new), -1)
    if index >= 0:
        sequence[index] = old


def _exchange(group: set[Any], new: Any, old: Any) -> None:
    if new in group:
        group.discard(new)
        group.add(old)


def rebind(pairs: Iterable[tuple[Any, Any]], private: Iterable[Any] = (), sought: set[int] | None = None) -> list[Holder]:
    """Have every holder of `old` hold `new`, for each (old, new); what was found, changed or not.

    `private` are containers that are to keep the old objects.  `sought` gets the ids of those that somebody else holds than
    modules.
    """
    rebinder = _Rebinder(pairs, private)
    holders = rebinder.run()
    if sought is not None:
        sought.update(map(id, rebinder.sought))
    return holders


def held_besides(targets: list[Any], holders: Iterable[Any]) -> list[Any]:
    """Those of `targets` to which more references are than those of this list and of `holders`."""
    ids = set(map(id, targets))
    holding = {id(one): one for one in holders}
    count = Counter(filter(ids.__contains__, map(id, gc.get_referents(*holding.values()))))
    (alone,) = [sys.getrefcount(one) for one in [object()]]  # of one that only such a list holds
    return [one for one in targets if sys.getrefcount(one) - count[id(one)] != alone]


def own_cells(namespaces: Iterable[dict[str, Any]]) -> list[Any]:
    """What the functions of these modules have from where they were made."""
    functions = [
        function for namespace in namespaces
        for function in namespace.values() if isinstance(function, FunctionType) and function.__closure__
    ]  # fmt: skip
    return [cell for function in functions for cell in function.__closure__ or ()]


def name_of(real: Any) -> str:
    """What a report calls it."""
    owner = getattr(real, "__objclass__", real)  # of a C method, whose class has a module
    module = getattr(owner, "__module__", None) or "builtins"
    name = getattr(real, "__qualname__", None) or type(real).__name__
    return f"{module}.{name}"
