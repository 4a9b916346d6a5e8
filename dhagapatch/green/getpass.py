"""`getpass` opens the terminal with `io.FileIO` itself: the password is read by a raw file that waits, of the same descriptor."""

from __future__ import annotations

import functools
import getpass as _stdlib
import io
from typing import Any

from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch._real import pristine
from dhagapatch.green.io import FileIO

__all__ = ["read_password"]

_raw_input = pristine(_stdlib, "_raw_input")


@functools.wraps(_raw_input)
def read_password(prompt: str = "", stream: Any = None, input: Any = None, **how: Any) -> Any:
    if isinstance(input, io.TextIOWrapper) and type(input.buffer) is io.FileIO:
        # nothing was read of it yet; since 3.14 it may be read key by key
        terminal = FileIO(input.fileno(), closefd=False)
        input = io.TextIOWrapper(terminal, encoding=input.encoding, errors=input.errors)  # type: ignore[type-var,unused-ignore]
    return _raw_input(prompt, stream, input, **how)
