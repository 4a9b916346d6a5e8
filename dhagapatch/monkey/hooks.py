"""Modules imported after the patch are patched as they come, and each time that they come.

A finder in front of all others hears which import begins.  For a module of the table it has the others find it, and puts a
loader between that patches the module when its code has run.  A module may be imported afresh (taken out of ``sys.modules``
and imported again: a second module object with second classes); it is patched like the first.  wrapt's post-import hooks
could do the first half, but to import wrapt takes longer than all the rest of a start.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.monkey import ending
from dhagapatch.monkey.engine import engine
from dhagapatch.monkey.table import PACKAGES, TABLE

__all__ = ["register"]

_WATCHED = frozenset(row.module for row in TABLE + PACKAGES)


class _Finder:
    """Finds what the finders after it find, and has it patched when it is loaded."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in _WATCHED and name not in engine.watched:
            return None
        if name in sys.modules or not engine.groups:  # a reload keeps the module object
            return None
        others = sys.meta_path[sys.meta_path.index(_Finder) + 1 :]  # those before it were asked already
        for finder in others:
            spec = finder.find_spec(name, path, target) if hasattr(finder, "find_spec") else None
            if spec is not None:
                if spec.loader is not None:
                    loader: Any = _Loader(spec.loader)
                    spec.loader = loader
                return spec
        return None


class _Loader:
    """Stands for a module's own loader until the module has been loaded."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # for who looks with `find_spec`, and asks what kind of loader it is
        return type(self._loader)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        module.__loader__ = self._loader
        if spec is not None:
            spec.loader = self._loader
        self._loader.exec_module(module)
        engine.patch_module(module.__name__)


def register() -> None:
    """Put the finder in its place; it finds nothing while nothing is patched."""
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)
    ending.prepare()
