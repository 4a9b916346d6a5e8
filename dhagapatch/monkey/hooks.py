"""wrapt's post-import hooks: modules imported after the patch are patched as they come, and each time that they come.

A module can be imported afresh (taken out of ``sys.modules`` and imported again: a second module object with second
classes).  wrapt's hooks fire once, so a finder in front of wrapt's registers them again when such an import begins.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType

import wrapt

from dhagapatch.monkey.engine import engine
from dhagapatch.monkey.table import TABLE

__all__ = ["register"]

_registered = False
_fired: set[str] = set()


def _imported(module: ModuleType) -> None:
    _fired.add(module.__name__)
    engine.patch_module(module.__name__)


class _Again:
    """Finds nothing: it hears which import begins."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        if name in _fired and name not in sys.modules:  # a reload has it there, and keeps the module object
            _fired.discard(name)
            wrapt.register_post_import_hook(_imported, name)


def register() -> None:
    """Register the hooks, once in a process; they do nothing while nothing is patched."""
    global _registered
    if _registered:
        return
    _registered = True
    for module in dict.fromkeys(row.module for row in TABLE):
        wrapt.register_post_import_hook(_imported, module)
    sys.meta_path.insert(0, _Again)
