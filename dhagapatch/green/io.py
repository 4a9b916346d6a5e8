"""Files over pipes, FIFOs, terminals and sockets, whose reading and writing lets other dhagas run.

A regular file is the interpreter's own.  For a descriptor that can make one wait, `open` makes the same stack of
objects, raw, buffered, text, with a raw file that waits until the kernel is ready.  That threads which share the
buffered one wait for each other is seen to by `buffers`.
"""

from __future__ import annotations

import io
import os
import select
import stat
import warnings
from typing import Any

from dhagapatch import _real
from dhagapatch._cpython import buffer_size
from dhagapatch._guard import LAST
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import READ, WRITE, hub_for_wait
from dhagapatch.core.descriptors import forget_descriptor, wake_all
from dhagapatch.core.entry import CALLER, enter_methods
from dhagapatch.core.hub import parking_hub
from dhagapatch.core.own import refuse_own
from dhagapatch.green.attempts import asks_python, once
from dhagapatch.green.os import await_ready, is_fifo, open_fifo, writable_view, write_pieces
from dhagapatch.green.wording import worded_by

__all__ = ["FileIO", "can_wait", "open"]

_MEMORY_DEVICES = 1  # major number of /dev/null, /dev/zero and the like, which never wait


class FileIO(io.FileIO):
    """A raw file over a descriptor that can make one wait."""

    def readinto(self, buffer: Any, /) -> int | None:
        if asks_python(buffer):  # once: by the C method
            self._wait()
            return super().readinto(buffer)
        view = writable_view(buffer)
        if view is None:
            return super().readinto(buffer)  # raises
        with view:  # it keeps its size during the wait
            if view.nbytes:
                self._wait()
            return super().readinto(view)

    def read(self, size: int | None = -1, /) -> bytes | None:  # type: ignore[override]
        if (size is None or (isinstance(size, int) and size < 0)) and not self.closed and self.readable():
            return self.readall()
        if size:
            self._wait()
        return super().read(size)

    def readall(self) -> bytes | None:  # type: ignore[override]
        if self.closed or not self.readable():
            return super().readall()  # raises
        chunks: list[bytes] = []
        while True:
            self._wait()
            chunk = super().read(io.DEFAULT_BUFFER_SIZE)
            if not chunk:
                return None if chunk is None and not chunks else b"".join(chunks)
            chunks.append(chunk)

    def write(self, data: Any, /) -> int | None:  # type: ignore[override]
        if self.closed or not self.writable():
            return super().write(data)  # raises
        data = once(data)
        size = _size(data)
        if size:  # anything else is an error, or nothing to wait for
            fd = self.fileno()
            await_ready(fd, WRITE)
            if size > select.PIPE_BUF and parking_hub() is not None and _real.os_get_blocking(fd):
                with memoryview(data) as view, view.cast("B") as rest:
                    return write_pieces(fd, rest)
        return super().write(data)

    def close(self) -> None:
        # HAZARD: the C method closes the descriptor without our knowing, and a reader would wait on for its number
        waiting = forget_descriptor(self.fileno()) if not self.closed and self.closefd else []
        try:
            super().close()
        finally:
            wake_all(waiting)

    def _wait(self) -> None:
        if not self.closed and self.readable():
            await_ready(self.fileno(), READ)

    def __repr__(self) -> str:
        return "<_io.FileIO " + super().__repr__().partition(" ")[2]


class _DeviceIO(io.FileIO):
    """A raw file over a device that never waits, like /dev/null: a call lets others run now and then, as it does natively."""

    def readinto(self, buffer: Any, /) -> int:
        return super().readinto(buffer)

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(size)

    def write(self, data: Any, /) -> int:
        return super().write(data)

    __repr__ = FileIO.__repr__


enter_methods(FileIO, "readinto", "read", "readall", "write", real=io.FileIO)
enter_methods(FileIO, "close", real=io.FileIO, cost=0)
enter_methods(_DeviceIO, "readinto", "read", "write", real=io.FileIO)
for _class in (FileIO, _DeviceIO):
    _class.__module__ = "_io"
    _class.__name__ = _class.__qualname__ = "FileIO"


def _be_native() -> None:
    """Nobody parks any more."""
    for name in ("readinto", "read", "readall", "write", "close"):
        delattr(FileIO, name)
    for name in ("readinto", "read", "write"):
        delattr(_DeviceIO, name)


LAST.append(_be_native)


def _size(data: Any) -> int:
    """How many bytes there are to be written; 0 for what the native call refuses."""
    try:
        with memoryview(data) as view:
            return view.nbytes if view.c_contiguous else 0
    except TypeError:
        return 0


def can_wait(file: Any) -> int:
    """The st_mode of what `file` names if it can make one wait, else 0."""
    mode, waits = _kind_of(file)
    return mode if waits else 0


def _kind_of(file: Any) -> tuple[int, bool]:
    """The st_mode of what is no regular file, else 0; and whether it can make one wait."""
    try:
        status = _real.os_fstat(file) if isinstance(file, int) else _real.os_stat(file)
    except (OSError, ValueError, TypeError, OverflowError):
        return 0, False
    mode = status.st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return 0, False
    return mode, not stat.S_ISCHR(mode) or os.major(status.st_rdev) != _MEMORY_DEVICES


@worded_by(_real.io_open)
def open(
    file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None, errors: str | None = None,
    newline: str | None = None, closefd: bool = True, opener: Any = None,
) -> Any:  # fmt: skip
    if opener is not None and _plain_mode(mode) and callable(opener) and not isinstance(file, int):
        return _open_by(opener, file, mode, buffering, encoding, errors, newline, closefd)
    refuse_own(file)
    kind, waits = _kind_of(file) if opener is None else (0, False)
    if not kind or not _plain_mode(mode):
        return _real.io_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
    if stat.S_ISFIFO(kind) and not isinstance(file, int) and hub_for_wait() is not None:
        opener = _open_fifo
    binary = "b" in mode
    raw_mode = mode.replace("b", "").replace("t", "")
    if (binary and (encoding or errors or newline is not None)) or (not binary and buffering == 0):
        return _real.io_open(file, mode, buffering, encoding, errors, newline, closefd, opener)  # raises
    if not isinstance(buffering, int) or (encoding, errors, newline) != (None, None, None):
        _check_text(buffering, encoding, errors, newline)
    if binary and buffering == 1:
        warnings.warn(
            "line buffering (buffering=1) isn't supported in binary mode, the default buffer size will be used",
            RuntimeWarning, stacklevel=CALLER,
        )  # fmt: skip
    raw: Any = (FileIO if waits else _DeviceIO)(file, raw_mode, closefd, opener)
    try:
        return _stack(raw, mode, buffering, io.text_encoding(encoding, CALLER) if not binary else None, errors, newline)
    except BaseException:
        raw.close()
        raise


_FLAGS = {"r": os.O_RDONLY, "w": os.O_CREAT | os.O_TRUNC, "x": os.O_CREAT | os.O_EXCL, "a": os.O_CREAT | os.O_APPEND}


def _open_by(
    opener: Any, file: Any, mode: str, buffering: Any, encoding: Any, errors: Any, newline: Any, closefd: Any
) -> Any:
    """What `opener` opens may be a pipe, though `file` names none: it is called first, then the kind is known."""
    flags = _FLAGS[next(letter for letter in mode if letter in _FLAGS)]
    flags |= os.O_RDWR if "+" in mode else 0 if "r" in mode else os.O_WRONLY
    fd = opener(file, flags | os.O_CLOEXEC)
    if not isinstance(fd, int) or fd < 0 or not can_wait(fd):
        return _real.io_open(file, mode, buffering, encoding, errors, newline, closefd, lambda path, flags: fd)
    try:
        result = open(fd, mode, buffering, encoding, errors, newline, closefd)
    except BaseException:
        _real.os_close(fd)
        raise
    raw: Any = result
    while not isinstance(raw, io.FileIO):
        raw = raw.buffer if isinstance(raw, io.TextIOWrapper) else raw.raw
    raw.name = file
    return result


def _check_text(buffering: Any, encoding: Any, errors: Any, newline: Any) -> None:
    """Have the native `open` complain of arguments of the wrong type."""
    fits = isinstance(buffering, int) and all(one is None or isinstance(one, str) for one in (encoding, errors, newline))
    if not fits:
        _real.io_open(os.devnull, "r", buffering, encoding, errors, newline)


def _plain_mode(mode: object) -> bool:
    """Whether it is a valid mode; the native `open` has the words for what is not."""
    if not isinstance(mode, str) or len(set(mode)) != len(mode) or set(mode) - set("rwxabt+"):
        return False
    return sum(mode.count(letter) for letter in "rwxa") == 1 and not ("b" in mode and "t" in mode)


def _open_fifo(path: Any, flags: int) -> int:
    return open_fifo(path, flags) if is_fifo(path) else _real.os_open(path, flags)


def _stack(raw: FileIO, mode: str, buffering: int, encoding: str | None, errors: Any, newline: Any) -> Any:
    line_buffering = buffering == 1 or (buffering < 0 and raw.isatty())
    if buffering < 0 or buffering == 1:
        buffering = buffer_size(raw)
    if buffering == 0:
        return raw
    buffer: Any
    if "+" in mode:
        if not raw.seekable():
            raise io.UnsupportedOperation("File or stream is not seekable.")
        buffer = io.BufferedRandom(raw, buffering)
    elif "r" in mode:
        buffer = io.BufferedReader(raw, buffering)
    else:
        buffer = io.BufferedWriter(raw, buffering)
    if "b" in mode:
        return buffer
    text = io.TextIOWrapper(buffer, encoding, errors, newline, line_buffering)
    text.mode = mode  # type: ignore[misc]
    return text
