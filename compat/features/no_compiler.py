"""Nothing of it is compiled (what it stands on, greenlet, is)."""

import importlib.util
from pathlib import Path

from _runtime import RUNTIME, answer

spec = importlib.util.find_spec(RUNTIME)
folder = Path(spec.origin).parent
answer(not list(folder.rglob("*.so")))
