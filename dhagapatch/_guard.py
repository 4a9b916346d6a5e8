"""What is to be done when the program ends; and a sign that it has.

Nobody holds this module but `sys.modules`: when it goes, the interpreter has begun to clear the modules (`monkey.ending`).  It is
the first of the package to be imported, and so goes before the others are cleared.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["AT_EXIT", "LAST"]

AT_EXIT: list[Callable[[], object]] = []  # called when the main thread has ended, with `atexit`; daemon threads may still run
LAST: list[Callable[[], object]] = []  # called when the last moments begin: nothing else runs any more
