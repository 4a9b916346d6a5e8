"""The standard streams over pipes, terminals and sockets: reading and writing them lets other dhagas run.

They are rebuilt over the same descriptors from the green classes, with the same encoding and buffering; whoever holds the
interpreter's own stream is given the green one.  A stream that the program has put in the place of one is left alone.
"""

from __future__ import annotations

import builtins
import io
import os
import sys
from typing import Any

from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch._real import pristine
from dhagapatch.core import hub_for_wait, offload_wait
from dhagapatch.green.io import BufferedReader, BufferedWriter, FileIO, can_wait

__all__ = ["input", "stderr", "stdin", "stdout"]

_input = pristine(builtins, "input")


def input(prompt: object = "", /) -> str:
    """Built-in input; on a terminal, where the C library would block, a native thread reads the line."""
    main = hub_for_wait()
    if main is None or not _reads_terminal():
        return _input(prompt)
    return offload_wait(_input, prompt)


def _reads_terminal() -> bool:
    try:
        return sys.stdin.fileno() == 0 and os.isatty(0) and os.isatty(1)
    except (AttributeError, ValueError, OSError):
        return False


def _is_own(real: Any, fd: int, buffers: tuple[type, ...]) -> bool:
    """Whether `real` is the interpreter's own stream for `fd`."""
    try:
        return type(real) is io.TextIOWrapper and type(real.buffer) in buffers and real.fileno() == fd
    except (OSError, ValueError):
        return False


def _text(buffer: Any, real: Any, newline: str, mode: str) -> Any:
    text = io.TextIOWrapper(buffer, real.encoding, real.errors, newline, real.line_buffering, real.write_through)
    text.mode = mode  # type: ignore[misc]
    return text


def stdin(real: Any) -> Any:
    """A green standard input.  Over a file too: the program may put a pipe in its place (`os.dup2`)."""
    if not _is_own(real, 0, (io.BufferedReader,)):
        return real
    raw = FileIO(0, "r", False)
    raw.name = "<stdin>"
    return _text(BufferedReader(raw), real, "\n", "r")


def _output(real: Any, fd: int, name: str) -> Any:
    """A green output stream, if it can make one wait: a full pipe does, and a terminal that was stopped."""
    if not _is_own(real, fd, (io.BufferedWriter, io.FileIO)) or not can_wait(fd):
        return real
    real.flush()
    raw = FileIO(fd, "w", False)
    raw.name = name
    buffer = raw if type(real.buffer) is io.FileIO else BufferedWriter(raw)
    return _text(buffer, real, "\n", "w")


def stdout(real: Any) -> Any:
    """A green standard output."""
    return _output(real, 1, "<stdout>")


def stderr(real: Any) -> Any:
    """A green standard error."""
    return _output(real, 2, "<stderr>")
