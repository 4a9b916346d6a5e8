"""The standard streams over pipes, terminals and sockets: reading and writing them lets other dhagas run.

They are rebuilt over the same descriptors with raw files of ours, with the same encoding and buffering; whoever holds the
interpreter's own stream is given the green one.  A stream that the program has put in the place of one is left alone.
"""

from __future__ import annotations

import builtins
import io
import os
import sys
import weakref
from functools import partial
from typing import Any

from dhagapatch import _real
from dhagapatch._cpython import buffer_size
from dhagapatch._guard import AT_EXIT
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import hub_for_wait, offload_wait
from dhagapatch.green.io import FileIO, can_wait

__all__ = ["input", "stderr", "stdin", "stdout"]

_input = builtins.input
_outputs: list[weakref.ref[io.TextIOWrapper]] = []


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
    return _text(io.BufferedReader(raw, buffer_size(raw)), real, "\n", "r")


def _output(real: Any, fd: int, name: str) -> Any:
    """A green output stream, if it can make one wait: a full pipe does, and a terminal that was stopped."""
    if not _is_own(real, fd, (io.BufferedWriter, io.FileIO)) or not can_wait(fd):
        return real
    real.flush()
    raw = FileIO(fd, "w", False)
    raw.name = name
    buffer = raw if type(real.buffer) is io.FileIO else io.BufferedWriter(raw, buffer_size(raw))
    text = _text(buffer, real, "\n", "w")
    _outputs.append(weakref.ref(text))
    return text


def _write_natively() -> None:
    """From now on the standard streams block: they are to be flushed by the interpreter, and an error shows no frame of ours."""
    for reference in _outputs:
        try:
            buffer: Any = reference().buffer  # type: ignore[union-attr]
            raw = buffer.raw if type(buffer) is io.BufferedWriter else buffer
            fd = raw.fileno()
        except (AttributeError, ValueError):  # it is gone, detached or closed
            continue
        try:
            blocking = _real.os_get_blocking(fd)
        except OSError:
            blocking = True
        if blocking:  # or the native method has another result
            # HAZARD: nothing that refers to the raw file: a cycle would outlive its class
            raw.write = partial(_real.os_write, fd)


AT_EXIT.append(_write_natively)


def stdout(real: Any) -> Any:
    """A green standard output."""
    return _output(real, 1, "<stdout>")


def stderr(real: Any) -> Any:
    """A green standard error."""
    return _output(real, 2, "<stderr>")
