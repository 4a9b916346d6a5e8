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
from collections.abc import Callable
from functools import partial
from typing import Any

from dhagapatch import _real
from dhagapatch._cpython import PROMPTS_END_AT_NUL, buffer_size
from dhagapatch._guard import AT_EXIT
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch._real import pristine
from dhagapatch.core import Lock, hub_for_wait, offload_wait, owner_token
from dhagapatch.green.io import FileIO, can_wait
from dhagapatch.green.os import read, write

__all__ = ["input", "stderr", "stdin", "stdout"]

_input = pristine(builtins, "input")
_MOST = 1024  # bytes: what the C library reads of a terminal at once
_turn = Lock()  # one at a time reads a line
_reader = 0  # which thread does
_turn_pid = os.getpid()
_ahead = b""  # what was read behind the end of a line, as the C library would keep it
_outputs: list[weakref.ref[io.TextIOWrapper]] = []


def input(prompt: object = "", /) -> str:
    """Built-in input; on a terminal, where C code would wait for the line, the terminal is waited for."""
    if hub_for_wait() is None or not _reads_terminal():
        return _input(prompt)
    stdin: Any = sys.stdin
    stdout: Any = sys.stdout
    sys.audit("builtins.input", prompt)
    for stream in (sys.stderr, stdout):
        try:
            stream.flush()
        except Exception:
            pass  # as natively
    shown = str(prompt).encode(stdout.encoding, stdout.errors)
    if b"\0" in shown and PROMPTS_END_AT_NUL:
        shown = shown.partition(b"\0")[0]
    elif b"\0" in shown:
        raise ValueError("input: prompt string cannot contain null characters")
    line = _in_turn(shown).decode(stdin.encoding, stdin.errors)
    sys.audit("builtins.input/result", line)
    return line


def _reads_terminal() -> bool:
    """Whether input natively reads what is typed, and not `sys.stdin`."""
    stdin, stdout = sys.stdin, sys.stdout
    try:
        if not (sys.stderr is not None and stdin.fileno() == 0 and os.isatty(0) and stdout.fileno() == 1 and os.isatty(1)):
            return False
    except Exception:
        return False
    kinds = (getattr(stream, name, None) for stream in (stdin, stdout) for name in ("encoding", "errors"))
    return all(isinstance(kind, str) for kind in kinds)


def _in_turn(prompt: bytes) -> bytes:
    """A line, when nobody else reads one.  Who waits for that is woken by the one before, or leaves."""
    global _turn, _turn_pid, _reader
    if _turn_pid != os.getpid():
        _turn, _turn_pid, _reader = Lock(), os.getpid(), 0  # the parent's threads read in the parent
    me = owner_token()
    if _reader == me:
        raise RuntimeError("can't re-enter readline")
    with _turn:
        _reader = me
        try:
            edits = _editor()
            return _typed_line(prompt) if edits is None else edits(prompt)
        finally:
            _reader = 0


def _editor() -> Callable[[bytes], bytes] | None:
    """What edits the line, if the program has such."""
    if "readline" not in sys.modules:
        return None
    try:
        from dhagapatch.green import readline
    except ImportError:  # an interpreter without ctypes
        return _edited_elsewhere
    return readline.edit_line if readline.is_usable() else _edited_elsewhere


def _edited_elsewhere(prompt: bytes) -> bytes:
    """By C code that is not known here, on a native thread, which nothing ends."""
    stdin: Any = sys.stdin
    stdout: Any = sys.stdout
    return offload_wait(_input, prompt.decode(stdout.encoding, stdout.errors)).encode(stdin.encoding, stdin.errors)


def _typed_line(prompt: bytes) -> bytes:
    """As the C library's `fgets`: up to the end of a line; or to the end of the input, which ends a line too."""
    global _ahead
    try:
        while prompt:
            prompt = prompt[write(2, prompt) :]
    except OSError:
        pass  # as natively
    line, _ahead = _ahead, b""
    while b"\n" not in line:
        try:
            data = read(0, _MOST)
        except OSError:
            data = b""  # the terminal is gone
        if not data:
            break
        line += data
    else:
        line, _, _ahead = line.partition(b"\n")
        return line.partition(b"\0")[0]
    if not line:
        raise EOFError
    return line.partition(b"\0")[0]


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
