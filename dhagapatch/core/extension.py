"""The optional compiled part, `_speedups`, if it is there and fits; `compiled` puts it to work."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

from dhagapatch._config import SETTINGS
from dhagapatch._real import BUILTINS as __builtins__

__all__ = ["speedups"]

_EDITION = 15  # of what the compiled part and the classes here expect of each other
speedups: Any = None

if SETTINGS.speedups:
    try:
        speedups = import_module("dhagapatch._speedups")
    except ModuleNotFoundError:
        pass  # no compiler, when it was installed
    except ImportError as error:
        warnings.warn(f"the compiled part can't be loaded, and is not used ({error}); install dhagapatch again", RuntimeWarning)
    else:
        if speedups.EDITION != _EDITION:
            warnings.warn("the compiled part is of another version, and not used; install dhagapatch again", RuntimeWarning)
            speedups = None
