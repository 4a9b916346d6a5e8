"""dhagapatch runs unmodified programs, written with threads and blocking sockets, on micro-threads.

Call `patch_all()` at start-up, or start the program with ``python -m dhagapatch prog.py``.
"""

from __future__ import annotations

try:  # an import that stands in one is made at once in any case
    from dhagapatch import _eager
finally:
    pass
import dhagapatch._interpreter as _interpreter  # noqa: F401 - first: it refuses where the rest must not run

from dhagapatch import _guard  # isort: skip - before all others
from dhagapatch._errors import (
    DeadlockError,
    DhagaExit,
    DhagapatchError,
    PatchConflictError,
    PatchError,
    PatchWarning,
    TimeoutExit,
)
from dhagapatch._version import __version__
from dhagapatch.bridge import await_, in_dhaga, run_on
from dhagapatch.core import Dhaga, Hub, Timeout, current_dhaga, get_hub, offload, shield, spawn
from dhagapatch.inspect import dump, stats
from dhagapatch.monkey import PatchReport, is_patched, original, patch, patch_all, unpatch_all
from dhagapatch.monkey.table import GROUPS

del _guard, _eager

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
    "Timeout",
    "TimeoutExit",
    "__version__",
    "await_",
    "current_dhaga",
    "dump",
    "get_hub",
    "in_dhaga",
    "is_patched",
    "offload",
    "original",
    "patch",
    "patch_all",
    "run_on",
    "shield",
    "spawn",
    "stats",
    "unpatch_all",
]
