"""Packages of others, as much of them as a test needs."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

__all__ = ["put_in_place"]


def put_in_place(package: str, **modules: str) -> None:
    """Have `package` be found by imports, with modules of these sources."""
    top = Path(tempfile.mkdtemp())
    (top / package).mkdir()
    for name, source in {"__init__": "", **modules}.items():
        (top / package / f"{name}.py").write_text(source)
    sys.path.insert(0, str(top))
