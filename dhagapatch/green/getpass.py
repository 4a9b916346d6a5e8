"""`getpass` opens the terminal with `io.FileIO` itself: who reads the password waits for the line first."""

from __future__ import annotations

import functools
import getpass as _stdlib
import io
from typing import Any

from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch._real import pristine
from dhagapatch.core import READ
from dhagapatch.green.os import await_ready

__all__ = ["read_password"]

_raw_input = pristine(_stdlib, "_raw_input")


class _Terminal:
    """A file over a terminal."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def readline(self) -> Any:
        await_ready(self._file.fileno(), READ)
        return self._file.readline()


@functools.wraps(_raw_input)
def read_password(prompt: str = "", stream: Any = None, input: Any = None) -> Any:
    return _raw_input(prompt, stream, _Terminal(input) if isinstance(input, io.TextIOWrapper) else input)
