"""Walking a tree and reading its files, without being surprised by either.

Nothing here follows a symbolic link. What cannot be read is reported as a
`Problem` and passed over.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from manifest import CHUNK_BYTES, DIRECTORY, FILE, MAX_FILE_CHUNKS, ROOT, SYMLINK, Entry

ZEROS = bytes(CHUNK_BYTES)

VANISHED = "vanished"
UNREADABLE = "unreadable"
SPECIAL = "special"
CHANGED = "changed"


@dataclass(frozen=True)
class Problem:
    """A path that is not in the snapshot, or not as it was, and why."""

    path: bytes
    kind: str
    detail: str

    @property
    def serious(self) -> bool:
        """Whether something is missing from the backup that was there to be read."""
        return self.kind == UNREADABLE


Found = Entry | Problem


def walk(root: bytes, exclude: Collection[bytes] = ()) -> Iterator[Found]:
    """Every path under `root`, itself first, parents before children.

    Names in `exclude` are left out wherever they occur. Files come without
    their chunks, with the size they had when seen. Sockets, devices and pipes
    are Problems of kind SPECIAL. Raises OSError if `root` is not a readable
    directory.
    """
    info = os.stat(root)
    yield Entry(ROOT, DIRECTORY, stat.S_IMODE(info.st_mode), info.st_mtime_ns)
    pending = [(b"", _names(root))]
    while pending:
        directory, names = pending.pop()
        for name in names:
            if name in exclude:
                continue
            path = os.path.join(directory, name)
            found, inside = _visit(path, os.path.join(root, path))
            yield from found
            if inside:
                pending.append((path, inside))


def problem(path: bytes, error: OSError) -> Problem:
    """What went wrong with `path`: gone, or not readable."""
    kind = VANISHED if error.errno in (errno.ENOENT, errno.ENOTDIR) else UNREADABLE
    return Problem(path, kind, error.strerror or str(error))


@dataclass
class OpenFile:
    """A regular file being read: the length it had when opened is what counts.

    What is appended later is left for the next backup; a file that shrinks ends
    where it ends. `changed` says afterwards that either happened.
    """

    descriptor: int
    info: os.stat_result

    @classmethod
    def open(cls, full: bytes) -> OpenFile:
        """Open a file; OSError if it cannot be or is no longer a regular file."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(full, flags)
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "is no longer a regular file")
        if info.st_size > MAX_FILE_CHUNKS * CHUNK_BYTES:
            os.close(descriptor)
            raise OSError(errno.EFBIG, "is larger than 128 GiB")
        return cls(descriptor, info)

    def close(self) -> None:
        """Close the file."""
        os.close(self.descriptor)

    def chunks(self) -> Iterator[tuple[bytes | None, int]]:
        """The file's chunks and their lengths in bytes; None is one of zeros only.

        Holes are skipped without reading them, where the system tells.
        """
        size = self.info.st_size
        data_at = 0
        for offset in range(0, size, CHUNK_BYTES):
            length = min(CHUNK_BYTES, size - offset)
            if data_at < offset + length:
                data_at = max(data_at, _next_data(self.descriptor, offset, size))
            if data_at >= offset + length:
                yield None, length
                continue
            data = _read_at(self.descriptor, offset, length)
            if not data:
                return
            zeros = data[0] == 0 and data == ZEROS[: len(data)]
            yield (None if zeros else data), len(data)
            if len(data) < length:
                return

    def changed(self) -> bool:
        """Whether the file was written to since it was opened."""
        now = os.fstat(self.descriptor)
        before = (self.info.st_size, self.info.st_mtime_ns)
        return (now.st_size, now.st_mtime_ns) != before


def _visit(path: bytes, full: bytes) -> tuple[list[Found], list[bytes]]:
    """What is to be said about one path, and the names in it if it is a directory."""
    try:
        info = os.lstat(full)
        target = os.readlink(full) if stat.S_ISLNK(info.st_mode) else b""
    except OSError as error:
        return [problem(path, error)], []
    mode = stat.S_IMODE(info.st_mode)
    if stat.S_ISLNK(info.st_mode):
        return [Entry(path, SYMLINK, mode, info.st_mtime_ns, target=target)], []
    if stat.S_ISREG(info.st_mode):
        return [Entry(path, FILE, mode, info.st_mtime_ns, info.st_size)], []
    if not stat.S_ISDIR(info.st_mode):
        return [Problem(path, SPECIAL, "a socket, device or pipe: nothing in it to keep")], []
    entry = Entry(path, DIRECTORY, mode, info.st_mtime_ns)
    try:
        return [entry], _names(full)
    except OSError as error:
        trouble = problem(path, error)
        return ([trouble] if trouble.kind == VANISHED else [entry, trouble]), []


def _names(directory: bytes) -> list[bytes]:
    return sorted(os.listdir(directory))


def _next_data(descriptor: int, offset: int, size: int) -> int:
    """Where data begins at or after `offset`; `size` if there is none."""
    if not hasattr(os, "SEEK_DATA"):
        return offset
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA)
    except OSError as error:
        return size if error.errno == errno.ENXIO else offset


def _read_at(descriptor: int, offset: int, length: int) -> bytes:
    """`length` bytes from `offset` on, fewer only at the end of the file."""
    data = os.pread(descriptor, length, offset)
    while 0 < len(data) < length:
        more = os.pread(descriptor, length - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data
