"""Thread-local data: a dictionary for each dhaga, and for each native thread."""

from __future__ import annotations

import gc
import weakref
from typing import Any

from greenlet import getcurrent

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import Dhaga, compiled, running_dhaga
from dhagapatch.core.hub import in_main_thread
from dhagapatch.green.wording import stand_for

__all__ = ["Locals", "adopt_local", "data_descriptor", "dict_of", "local", "locals_of", "new_dict"]


class Locals:
    """What lies behind one `local`: a dictionary for each dhaga, one for each native thread.

    `native` has those of native threads; None if the `local` itself is a native one, which has them.
    """

    __slots__ = ("__weakref__", "args", "dicts", "native")

    def __init__(self, args: tuple[tuple[Any, ...], dict[str, Any]]) -> None:
        self.args = args
        self.dicts: dict[object, dict[str, Any]] = {}  # of dhagas, until they end; and of the main thread
        self.native: Any = _real.local()


class _RealDicts:
    """The dictionaries of native threads in a native `local` that was made before the patch."""

    __slots__ = ("_local",)

    def __init__(self, local: Any) -> None:
        self._local = local

    @property
    def namespace(self) -> dict[str, Any]:
        return _native_get(self._local, "__dict__")


def dict_of(data: Locals, owner: local) -> dict[str, Any]:
    """The dictionary of the thread that calls; at its first use `__init__` is called again, as natively."""
    namespace: dict[str, Any] | None
    try:
        me = getcurrent()
    except RecursionError:
        raise
    except RuntimeError:
        me = None  # the interpreter's last moments
    if type(me) is not Dhaga:
        root = me
        me = running_dhaga()
        if me is None:
            if data.native is None:
                return _native_get(owner, "__dict__")  # it is a native one
            try:
                namespace = data.native.namespace
            except AttributeError:
                data.native.namespace = namespace = {}
                _init_local(data, owner)
            if root is not None and root.parent is None and in_main_thread():
                data.dicts[root] = namespace  # to be found at once from now on; other threads' would outlive them here
            return namespace
    namespace = data.dicts.get(me)
    if namespace is None:
        namespace = new_dict(data, me)
        _init_local(data, owner)
    return namespace


def new_dict(data: Locals, dhaga: Dhaga) -> dict[str, Any]:
    namespace = data.dicts[dhaga] = {}
    if dhaga.locals is None:
        dhaga.locals = {}
        dhaga.at_end(_LOCALS_END)
    dhaga.locals[id(data)] = weakref.ref(data)  # the data lives as long as its local
    return namespace


def _init_local(data: Locals, owner: local) -> None:
    kind = type(owner)
    if kind.__init__ is not object.__init__:
        args, kwargs = data.args
        kind.__init__(owner, *args, **kwargs)


class _LocalsEnd:
    """When a dhaga ends its data goes, as a thread's does."""

    def thread_ended(self, dhaga: Dhaga, /) -> None:
        dhaga.drop_locals()
        if not dhaga.locals:
            dhaga.locals = None  # who makes some now has them dropped, too


_LOCALS_END = _LocalsEnd()


_object_get = object.__getattribute__
_native_get = _real.local.__getattribute__


def data_descriptor(kind: type, name: str) -> Any:
    """The attribute of the class, a property say, that comes before the instance's own; None if there is none."""
    for base in kind.__mro__:
        if name in base.__dict__:
            found = base.__dict__[name]
            return found if hasattr(type(found), "__set__") else None
    return None


_OF_ALL = {"__class__", "__dict__"}  # no attributes of the data, but of every object


def _name_in_c(kind: type) -> str:
    return "_thread._local" if kind is local else kind.__name__


class local:
    """Thread-local data: each dhaga, and each native thread, sees attributes of its own."""

    __slots__ = ("__dict__", "__weakref__", "_local__data", "_local__dicts")

    def __new__(cls, /, *args: Any, **kwargs: Any) -> local:
        if (args or kwargs) and cls.__init__ is object.__init__:
            raise TypeError("Initialization arguments are not supported")
        self = object.__new__(cls)
        data = Locals((args, kwargs))
        _set_data(self, data)
        _set_dicts(self, data.dicts)
        # `__init__` is called by `type.__call__` for the thread that makes it: its dictionary is there by then
        me = running_dhaga()
        if me is None:
            data.native.namespace = {}
        else:
            new_dict(data, me)
        return self

    def __getattribute__(self, name: str, /) -> Any:
        if type(self) is local:
            try:
                return _dicts_of(self)[getcurrent()][name]  # most often: it has used it already
            except (KeyError, RuntimeError, TypeError):  # the interpreter's last moments; a greenlet without a hash
                pass
        namespace = dict_of(_data_of(self), self)
        if name == "__dict__":
            return namespace
        kind = type(self)
        if kind is not local and not isinstance(name, str):
            return _object_get(self, name)  # raises
        if name in namespace and (kind is local or data_descriptor(kind, name) is None):
            return namespace[name]
        try:
            return _object_get(self, name)
        except AttributeError:
            if kind is not local:
                raise
        raise AttributeError(f"'_thread._local' object has no attribute '{name}'", name=name, obj=self)  # in C's words

    def __setattr__(self, name: str, value: Any, /) -> None:
        kind = type(self)
        if not isinstance(name, str) or name in _OF_ALL:
            if name == "__dict__":
                raise AttributeError(f"'{_name_in_c(kind)}' object attribute {name!r} is read-only")
            object.__setattr__(self, name, value)  # raises, if it is no string
            return
        if kind is local:
            try:
                _dicts_of(self)[getcurrent()][name] = value
                return
            except (KeyError, RuntimeError, TypeError):
                pass
        elif data_descriptor(kind, name) is not None:
            object.__setattr__(self, name, value)
            return
        dict_of(_data_of(self), self)[name] = value

    def __delattr__(self, name: str, /) -> None:
        kind = type(self)
        if name == "__dict__":
            raise AttributeError(f"'{_name_in_c(kind)}' object attribute {name!r} is read-only")
        if not isinstance(name, str):
            object.__delattr__(self, name)  # raises
        if kind is not local and data_descriptor(kind, name) is not None:
            object.__delattr__(self, name)
            return
        try:
            del dict_of(_data_of(self), self)[name]
            return
        except KeyError:
            pass  # what is raised has no context, as natively
        raise AttributeError(f"'{_name_in_c(kind)}' object has no attribute '{name}'")

    def __dir__(self) -> list[str]:
        return sorted({*dict_of(_data_of(self), self), *dir(type(self))} - {"_local__data", "_local__dicts"})


_slots = vars(local)
_dicts_of = _slots["_local__dicts"].__get__
_data_of, _set_data = _slots["_local__data"].__get__, _slots["_local__data"].__set__
_set_dicts = _slots["_local__dicts"].__set__


def adopt_local(real: Any, kind: type[local] = local) -> local:
    """A green counterpart of `real`, which keeps the data of native threads, the main one's too."""
    self = object.__new__(kind)
    data = locals_of(real)
    data.native = _RealDicts(real)  # nobody else holds it
    _set_data(self, data)
    _set_dicts(self, data.dicts)
    return self


def locals_of(real: Any) -> Locals:
    """Data beside that of native threads, which stays in `real`."""
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    for referent in gc.get_referents(real):
        # the C structure refers to the arguments of its making, with which `__init__` is called in each thread
        if type(referent) is tuple:
            args = referent
        elif type(referent) is dict and referent and all(type(key) is str for key in referent):
            kwargs = referent
    data = Locals((args, kwargs))
    data.native = None
    return data


stand_for(local, _real.local)

if compiled.speedups is not None:
    compiled.speedups.setup_local({"local": local, "get": local.__getattribute__, "set": local.__setattr__})
    compiled.put(local, compiled.speedups.local_methods())
