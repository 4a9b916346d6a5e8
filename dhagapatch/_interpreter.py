"""Imported before whatever changes anything: refuses an interpreter that is not the process's main one.

Such a sub-interpreter shares its OS threads, signals and environment with the main one, and greenlet and the compiled part
have one state a process.  So nothing of the package may run there, beside a main interpreter that is patched or will be.
"""

from __future__ import annotations

import _signal
import _thread
import importlib
from typing import Any

from dhagapatch._real import BUILTINS as __builtins__

__all__ = ["is_main_interpreter"]


def is_main_interpreter() -> bool:
    """Whether this is the interpreter that the process began with.

    Checked: 3.11.7, 3.12.1, 3.13.0.
    """
    ask: Any = getattr(_thread, "_is_main_interpreter", None)  # since 3.12
    if ask is not None:
        return bool(ask())
    try:
        _signal.signal(0, _signal.SIG_DFL)  # never done: it is no signal
    except ValueError as error:
        if "main" not in str(error):
            return True  # the main thread of the main interpreter gets as far as the number
    # in another thread: one more import, of a shared library
    try:
        known = importlib.import_module("_xxsubinterpreters")
    except ImportError:
        return True  # built without them
    return bool(known.get_current() == known.get_main())


if not is_main_interpreter():
    raise ImportError(
        "dhagapatch runs in a process's main interpreter, and this is a sub-interpreter, in which nothing was changed: "
        "run the program in the main one (mod_wsgi: WSGIApplicationGroup %{GLOBAL})",
        name="dhagapatch",
    )
