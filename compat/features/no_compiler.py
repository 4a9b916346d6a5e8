"""It runs, and lets threads wait, without anything of it being compiled (what it stands on, greenlet, is)."""

import sys
import time
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder

from _runtime import RUNTIME, answer, patch, together


class _NothingCompiled:
    """A finder that does not find the compiled modules of the runtime."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.startswith(RUNTIME + "."):
            spec = PathFinder.find_spec(name, path, target)
            if spec is not None and (spec.origin or "").endswith(tuple(EXTENSION_SUFFIXES)):
                raise ModuleNotFoundError(f"{name} is compiled", name=name)
        return None


if any(name.partition(".")[0] == RUNTIME for name in sys.modules):
    answer(False)  # too late to look
sys.meta_path.insert(0, _NothingCompiled)
try:
    patch()
except ImportError:
    answer(False)
answer(together(lambda: time.sleep(0.1), 20) < 1)
