"""dhagapatch runs unmodified programs, written with threads and blocking sockets, on micro-threads.

Call `patch_all()` at start-up, or start the program with ``python -m dhagapatch prog.py``.
"""

from __future__ import annotations

from dhagapatch._errors import (
    DeadlockError,
    DhagaExit,
    DhagapatchError,
    PatchConflictError,
    PatchError,
    PatchWarning,
)
from dhagapatch._version import __version__
from dhagapatch.core import Dhaga, Hub, current_dhaga, get_hub, offload, spawn
from dhagapatch.monkey import PatchReport, is_patched, original, patch, patch_all, unpatch_all
from dhagapatch.monkey.table import GROUPS

__all__ = [
    "GROUPS",
    "DeadlockError",
    "Dhaga",
    "DhagaExit",
    "DhagapatchError",
    "Hub",
    "PatchConflictError",
    "PatchError",
    "PatchReport",
    "PatchWarning",
    "__version__",
    "current_dhaga",
    "get_hub",
    "is_patched",
    "offload",
    "original",
    "patch",
    "patch_all",
    "spawn",
    "unpatch_all",
]
