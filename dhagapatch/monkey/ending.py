"""The interpreter's last moments: what outlives the clearing of modules goes on working, as natively.

When the main thread has come to its end, and `atexit` is through, daemon threads stand still for ever, finalizers run, and module
after module has its names set to None, this package's and those of the standard library it needs.  What the program still holds
then, in a default of a finalizer say, is used all the same: streams, locks, sockets, `os.write`.  The native ones are in C, and
need no names.  So before the first module is cleared:

* nobody parks any more: a wait is a native one, and no dhaga has its turn;
* this package's modules are taken off the list of those that are cleared, and what they need of others is kept for them;
* methods that were set in a class are the class's own again;
* the journal lets go of what it holds: standard output is flushed when its last holder lets go of it.
"""

from __future__ import annotations

import atexit
import gc
import sys
import weakref
from sys import is_finalizing
from types import BuiltinFunctionType, ModuleType
from typing import Any

from greenlet import getcurrent

from dhagapatch._guard import AT_EXIT, LAST
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.hub import all_hubs
from dhagapatch.monkey.engine import engine

__all__ = ["prepare"]

_PACKAGE = __name__.partition(".")[0]
# of another module's names, those that refer to nothing which is to go in its own time
_IMMUTABLE, _HEAP = 1 << 8, 1 << 9  # flags of a type: one in C is immutable, or not made at run time
_PLAIN = (int, float, str, bytes, BuiltinFunctionType)

_guard: weakref.ref[Any] | None = None


def prepare() -> None:
    """See to it that the last moments are noticed.

    Two tell of them: the collector, which runs first then, if it is not turned off; and the end of a module that nobody holds.
    """
    global _guard
    module = sys.modules.get(f"{_PACKAGE}._guard")
    if _guard is None and module is not None:
        _guard = weakref.ref(module, _end)
        atexit.register(_watch)


def _watch() -> None:
    for call in AT_EXIT:
        call()
    gc.callbacks.append(_end)


def _end(*why: object) -> None:
    """If these are the last moments, have everything ready for them."""
    global _guard
    if not is_finalizing() or _guard is None:
        return
    _guard = None
    try:
        getcurrent().dhaga_hub = None  # nobody parks
    except (AttributeError, RuntimeError):
        pass
    for hub in all_hubs():
        hub.main.dhaga_hub = None
    engine.forget()
    for call in LAST:
        call()
    _keep_modules()


def _keep_modules() -> None:
    """Take this package's modules off the list, and leave them what they use of others: modules that may be cleared."""
    copies: dict[int, Any] = {}
    modules = sys.modules
    for name, module in list(modules.items()):
        if isinstance(module, ModuleType) and (name == _PACKAGE or name.startswith(_PACKAGE + ".")):
            namespace = vars(module)
            for key, value in list(namespace.items()):
                if isinstance(value, ModuleType) and not value.__name__.startswith(_PACKAGE):
                    namespace[key] = copies.get(id(value)) or copies.setdefault(id(value), _Part(value))
            modules[name] = None  # type: ignore[assignment]  # what is no module is not cleared


class _Part:
    """What is kept of a module; the rest is as it is then, if it is there: it is not to be kept alive."""

    def __init__(self, module: ModuleType) -> None:
        plain = self.__dict__
        plain["_whole"] = weakref.ref(module)
        for name, value in list(vars(module).items()):
            flags = value.__flags__ if isinstance(value, type) else _HEAP
            if type(value) in _PLAIN or flags & _IMMUTABLE or not flags & _HEAP:
                plain[name] = value
            elif isinstance(value, int):  # of an enumeration
                plain[name] = int(value)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole(), name)
