"""wrapt's post-import hooks: modules imported after the patch are patched as they come."""

from __future__ import annotations

from types import ModuleType

import wrapt

from dhagapatch.monkey.engine import engine
from dhagapatch.monkey.table import TABLE

__all__ = ["register"]

_registered = False


def _imported(module: ModuleType) -> None:
    engine.patch_module(module.__name__)


def register() -> None:
    """Register the hooks, once in a process; they do nothing while nothing is patched."""
    global _registered
    if _registered:
        return
    _registered = True
    for module in dict.fromkeys(row.module for row in TABLE):
        wrapt.register_post_import_hook(_imported, module)
