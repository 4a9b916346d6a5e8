"""pydevd, the debugger beneath debugpy, VS Code and PyCharm: the runtime's own files are to it what its own are.

It neither stops in them nor shows their frames, as it shows no frame of the C code that runs natively in their place.
``DHAGAPATCH_FRAMES=1`` leaves them in its sight.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

from dhagapatch import _real
from dhagapatch._config import SETTINGS
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.hub import all_hubs
from dhagapatch.core.waits import LAUNCHER
from dhagapatch.green import tracing

__all__ = ["file_type", "helper"]

_FOLDER = os.path.join(os.path.dirname(LAUNCHER), "")


def file_type(real: Callable[..., Any]) -> Callable[..., Any]:
    """What stands for `PyDB._internal_get_file_type`."""
    tracing.install()
    if SETTINGS.frames:
        return real
    hidden = sys.modules["_pydevd_bundle.pydevd_dont_trace_files"].PYDEV_FILE
    known: dict[Any, Any] = getattr(sys.modules["pydevd"], "_CACHE_FILE_TYPE", {})
    for key in [key for key in list(known) if str(key[1]).startswith(_FOLDER)]:
        known.pop(key, None)  # the launcher, which ran before the patch

    def _internal_get_file_type(self: Any, paths: Any, *args: Any, **kwargs: Any) -> Any:
        # the paths are: as it is, with links followed, the last part
        if any(str(path).startswith(_FOLDER) for path in paths[:2]):
            return hidden
        return real(self, paths, *args, **kwargs)

    return _internal_get_file_type


def helper(real: Callable[[], Any]) -> Callable[[], Any]:
    """What stands for `_load_python_helper_lib`, up to Python 3.11: C code that sets the trace function of any OS thread."""

    def _load_python_helper_lib() -> Any:
        library = real()
        return library if library is None else _Helper(library)

    return _load_python_helper_lib


class _Helper:
    """The library; a dhaga that waits takes the function when it is resumed."""

    def __init__(self, library: Any) -> None:
        self._library = library

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)

    def AttachDebuggerTracing(self, shows: Any, set_trace: Any, function: Any, ident: Any, none: Any) -> int:
        for hub in all_hubs():
            for one, its in ((hub.main, hub.ident), *((dhaga, dhaga.ident) for dhaga in hub.dhagas)):
                # as that code compares them; who has no frame runs, or has not begun
                if one.gr_frame is not None and its & 0xFFFFFFFF == ident.value:
                    hub.interrupt(one, functools.partial(_real.settrace, function.value))
                    return 0
        return int(self._library.AttachDebuggerTracing(shows, set_trace, function, ident, none))
