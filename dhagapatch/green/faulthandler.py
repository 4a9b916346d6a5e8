"""`faulthandler.dump_traceback` with dhagas in it; its other functions are C code that runs when Python code can't."""

from __future__ import annotations

import faulthandler as _stdlib
import os
import sys
from types import FrameType
from typing import Any

from dhagapatch import _real
from dhagapatch._cpython import thread_of
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch._real import pristine
from dhagapatch.core import Dhaga, program_frame
from dhagapatch.core.hub import all_hubs
from dhagapatch.core.waits import LAUNCHER
from dhagapatch.green._thread import get_ident, shown_name
from dhagapatch.green.sys import current_frames

__all__ = ["dump_traceback"]

_c_dump_traceback = pristine(_stdlib, "dump_traceback")
_MOST = 100  # frames of a stack
_LONGEST = 500  # characters of a name


def dump_traceback(file: Any = None, all_threads: bool = True) -> None:
    hubs = all_hubs()
    fd = _descriptor(sys.stderr if file is None else file) if hubs and _is_int(all_threads) else -1
    if fd < 0:
        _c_dump_traceback(sys.stderr if file is None else file, all_threads)
        return
    if not all_threads:
        _write(fd, ["Stack (most recent call first):", *_lines(program_frame(sys._getframe()))])
        return
    frames = current_frames()
    me = get_ident()
    frames.pop(me)
    dhagas = {dhaga.ident: dhaga for hub in hubs for dhaga in list(hub.dhagas)}
    for ident in sorted(frames, reverse=True):
        if program_frame(frames[ident]) is not None:
            name = _name(ident, dhagas.get(ident))
            _write(fd, [f"Thread 0x{ident:016x}{name} (most recent call first):", *_lines(frames[ident]), ""])
    name = _name(me, dhagas.get(me))
    _write(fd, [f"Current thread 0x{me:016x}{name} (most recent call first):", *_lines(program_frame(sys._getframe()))])


def _name(ident: int, dhaga: Dhaga | None) -> str:
    """What the system calls a thread, as it is shown since 3.14."""
    if _real.get_name is None:
        return ""
    thread = thread_of(ident) if dhaga is None and ident not in {hub.ident for hub in all_hubs()} else None
    name = shown_name(dhaga.os_name if dhaga is not None else None if thread is None else thread.name)
    return f" [{name}]" if name else ""


def _is_int(number: object) -> bool:
    """Whether it is an integer as C has them; the C function has the words for what is none."""
    return isinstance(number, int) and abs(number) < 1 << 31


def _descriptor(file: Any) -> int:
    """Of a file, or a number; -1 for what the C function has something to say about."""
    if isinstance(file, int):
        return file
    try:
        fd = file.fileno()
        file.flush()
    except Exception:
        return -1
    return fd if isinstance(fd, int) else -1


def _lines(frame: FrameType | None) -> list[str]:
    lines: list[str] = []
    while (frame := program_frame(frame)) is not None and frame.f_code.co_filename != LAUNCHER:
        if len(lines) == _MOST:
            return [*lines, "  ..."]
        code = frame.f_code
        lines.append(f'  File "{_short(code.co_filename)}", line {frame.f_lineno} in {_short(code.co_name)}')
        frame = frame.f_back
    return lines


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else name[:_LONGEST] + "..."


def _write(fd: int, lines: list[str]) -> None:
    data = os.fsencode("\n".join(lines) + "\n")
    while data:
        data = data[_real.os_write(fd, data) :]
