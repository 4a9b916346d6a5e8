"""Imports of this package are made at once, also where the program asks for lazy ones (``-X lazy_imports=all``, since 3.15).

What the runtime keeps for itself must be what was there before it changed anything, not what is there at the first use.
"""

from __future__ import annotations

import sys

__all__ = ["AtOnce"]

_PACKAGE = "dhagapatch"


class AtOnce:
    """A filter of lazy imports: nothing of this package is, and of the rest what `other` says, the program's own filter."""

    def __init__(self, other: object) -> None:
        self.other = other

    def __call__(self, importer: str | None, name: str, names: object) -> object:
        if (importer or "").partition(".")[0] == _PACKAGE or name.partition(".")[0] == _PACKAGE:
            return False
        return self.other is None or self.other(importer, name, names)  # type: ignore[operator]


if hasattr(sys, "set_lazy_imports_filter"):
    sys.set_lazy_imports_filter(AtOnce(sys.get_lazy_imports_filter()))  # type: ignore[attr-defined]
