"""A line that is edited on the terminal, by the library that the `readline` module uses: while one is typed the others run.

The module's C code waits in that library.  Here its interface for programs with a loop of their own is used: it is told of each
key when there is one, and waits for none.  One dhaga at a time edits a line (`stdio.input` sees to it).

Who wakes the dhaga: the terminal, at each key.  If it leaves (Ctrl-C, a handler that raises, a kill, a `Timeout`) it has the
library forget the line, as the C code does after a signal; so the next line begins with its prompt.
"""

from __future__ import annotations

import ctypes
import os
import readline
import sys
from typing import Any

from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import READ
from dhagapatch.green.waiting import wait_descriptor
from dhagapatch.green.wording import worded_by

__all__ = ["edit_line", "is_usable", "set_auto_history"]

_set_auto_history = readline.set_auto_history
_keeps_history = True
_lines: list[bytes | None] = []  # what the library has said: None at the end of the input
_Handler: Any = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


@worded_by(_set_auto_history)
def set_auto_history(enabled: Any, /) -> None:
    global _keeps_history
    _set_auto_history(enabled)
    _keeps_history = bool(enabled)


def _find() -> Any:
    """The library, by the names that the module itself is linked to; None if they can't be had."""
    try:
        library: Any = ctypes.CDLL(getattr(readline, "__file__", None))
        install, free = library.rl_callback_handler_install, ctypes.CDLL(None).free
        ctypes.c_void_p.in_dll(library, "rl_instream")
        for name in ("rl_callback_read_char", "rl_callback_handler_remove", "rl_free_line_state", "rl_cleanup_after_signal"):
            getattr(library, name).restype = None
    except (OSError, AttributeError, ValueError):
        return None
    install.argtypes, install.restype = (ctypes.c_char_p, _Handler), None
    free.argtypes, free.restype = (ctypes.c_void_p,), None
    return library, free


_found = _find()


def is_usable() -> bool:
    """Whether lines can be edited so; not if another module than `readline` reads them."""
    return _found is not None and bool(ctypes.c_void_p.in_dll(ctypes.pythonapi, "PyOS_ReadlineFunctionPointer"))


@_Handler  # type: ignore[untyped-decorator]
def _handle(text: int | None) -> None:
    """The library has a line, or the end of the input."""
    library, free = _found
    if text is None:
        _lines.append(None)
    else:
        _lines.append(ctypes.string_at(text))
        free(text)
    library.rl_callback_handler_remove()


def _set_streams(library: Any) -> None:
    """The interpreter's own C streams are the library's, unless somebody has set others."""
    libc = ctypes.CDLL(None)
    changed = False
    for name, stream in (("rl_instream", "stdin"), ("rl_outstream", "stdout")):
        theirs, ours = ctypes.c_void_p.in_dll(library, name), ctypes.c_void_p.in_dll(libc, stream)
        if theirs.value != ours.value:
            theirs.value = ours.value
            changed = True
    if changed:
        library.rl_prep_terminal(1)


def edit_line(prompt: bytes) -> bytes:
    """A line, without its end; EOFError at the end of the input."""
    library, _ = _found
    _set_streams(library)
    _lines.clear()
    library.rl_callback_handler_install(prompt, _handle)
    size = _size()
    try:
        while not _lines:
            wait_descriptor(0, READ)
            if size != (size := _size()):
                library.rl_resize_terminal()
            library.rl_callback_read_char()
    except BaseException:
        library.rl_free_line_state()
        if hasattr(library, "rl_callback_sigcleanup"):
            library.rl_callback_sigcleanup()
        library.rl_cleanup_after_signal()
        library.rl_callback_handler_remove()
        raise
    line = _lines.pop()
    if line is None:
        raise EOFError
    if line and _keeps_history:
        _remember(os.fsdecode(line))
    return line


def _size() -> Any:
    try:
        return os.get_terminal_size(0)
    except OSError:
        return None


def _remember(line: str) -> None:
    length = readline.get_current_history_length()
    if not length or readline.get_history_item(length) != line:
        sys.modules["readline"].add_history(line)
