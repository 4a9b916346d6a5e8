"""What the interpreter's own errors call a class: of a C class the name with its module, which Python code can't give to one.

Checked: 3.11.7, 3.12.1, 3.13.0.
"""

from __future__ import annotations

import ctypes

from dhagapatch._real import BUILTINS as __builtins__

__all__ = ["name_type"]

_NAME, _FLAGS, _BASE = 24, 168, 1 << 10  # in a type, after its head; a flag: it may have subclasses
_kept: list[ctypes.Array[ctypes.c_char]] = []


def name_type(kind: type, name: str, final: bool) -> None:
    """Have errors call `kind` so; if `final`, it has no subclasses from now on.  As `_speedups.name_type`."""
    if object.__basicsize__ != 16:
        return  # another head: 32 bits, free threads, a debug build
    text = ctypes.create_string_buffer(name.encode())
    _kept.append(text)
    ctypes.c_void_p.from_address(id(kind) + _NAME).value = ctypes.addressof(text)
    if final:
        ctypes.c_ulong.from_address(id(kind) + _FLAGS).value &= ~_BASE
