"""The content-addressed chunk store.

Chunks that arrive together are written together, as one segment file, because
one fsync for a hundred small chunks costs what one fsync for a single chunk
does. A segment is written to ``tmp/``, flushed with fsync, renamed into
``segments/`` and the directory flushed; only then is `ChunkStore.put` done. So
an acknowledged chunk survives a power cut, and a segment under its final name
is whole::

    offset        size       meaning
    0             8          magic, b"BKSEG1\\0\\0"
    8             4          number of chunks, big-endian
    12            36 each    the chunk table: SHA-256 and length
    ...           32         SHA-256 of the table
    ...           ...        the chunks, one after another

The index (digest to place) lives in memory, some 200 bytes a chunk, and is
rebuilt from the tables at start: there is no second copy of the truth that
could fall out of step. If a digest occurs in two segments the younger wins,
which is how a chunk found corrupt is replaced.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import struct
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from errors import ProtocolError, StoreFullError, UsageError
from protocol import TABLE_RECORD, Buffer, ErrorCode, pack_table

MAGIC = b"BKSEG1\0\0"
HEAD = struct.Struct(">8sI")
SEGMENTS_PER_DIRECTORY = 1000
FULL_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

log = logging.getLogger("backup.store")


class Place(NamedTuple):
    """Where a chunk is: segment number, offset and length in bytes."""

    segment: int
    offset: int
    length: int


class ChunkStore:
    """Chunks by SHA-256 under one directory, for one process and many threads.

    `quota_bytes` bounds the size of all segments together; None is no bound.
    """

    def __init__(self, root: Path, quota_bytes: int | None = None) -> None:
        """Open or create the store and index it; UsageError if it is in use."""
        self._segments = root / "segments"
        self._tmp = root / "tmp"
        self._quota = quota_bytes
        self._lock = threading.Lock()
        self._index: dict[bytes, Place] = {}
        self._corrupt: set[bytes] = set()
        self._bytes = 0
        self._next = 1
        for directory in (root, self._segments, self._tmp):
            directory.mkdir(parents=True, exist_ok=True)
        self._lock_file = _lock_store(root / "lock")
        for left_over in self._tmp.iterdir():
            left_over.unlink()
        for path in sorted(self._segments.glob("*/*.seg")):
            self._load(path)

    def close(self) -> None:
        """Let another process open the store."""
        os.close(self._lock_file)

    def usage(self) -> tuple[int, int]:
        """Number of chunks, and bytes taken by segments."""
        with self._lock:
            return len(self._index), self._bytes

    def has(self, digests: Sequence[bytes]) -> list[bool]:
        """For each digest, whether a chunk is held that is not known to be corrupt."""
        with self._lock:
            return [digest in self._index and digest not in self._corrupt for digest in digests]

    def put(self, chunks: Sequence[tuple[bytes, Buffer]]) -> int:
        """Store the chunks that are missing, durably; return how many those were.

        Raises ProtocolError if a digest is not that of its data, StoreFullError
        if the quota or the disk is used up; either way nothing was stored.
        """
        for digest, data in chunks:
            if hashlib.sha256(data).digest() != digest:
                raise ProtocolError(
                    ErrorCode.BAD_REQUEST, f"chunk {digest.hex()} was damaged on its way"
                )
        distinct = dict(chunks)
        held = self.has(list(distinct))
        missing = [item for item, known in zip(distinct.items(), held, strict=True) if not known]
        if missing:
            self._write_segment(missing)
        return len(missing)

    def get(self, digest: bytes) -> bytes | None:
        """The data of a chunk as it is on disk, None if not held or not readable.

        The data is not verified: whoever asks knows the digest.
        """
        with self._lock:
            place = self._index.get(digest)
        if place is None:
            return None
        try:
            descriptor = os.open(self._path(place.segment), os.O_RDONLY | os.O_CLOEXEC)
            try:
                return os.pread(descriptor, place.length, place.offset)
            finally:
                os.close(descriptor)
        except OSError as error:
            log.error("cannot read chunk %s: %s", digest.hex(), error)
            return None

    def check(self, digest: bytes) -> str:
        """Read and hash a chunk: "ok", "missing" or "corrupt".

        A corrupt chunk counts as missing from then on, so that the next backup
        that has it sends it again.
        """
        with self._lock:
            place = self._index.get(digest)
        if place is None:
            return "missing"
        data = self.get(digest)
        if data is not None and hashlib.sha256(data).digest() == digest:
            return "ok"
        with self._lock:
            self._corrupt.add(digest)
        log.error("chunk %s is corrupt, in %s", digest.hex(), self._path(place.segment))
        return "corrupt"

    def _write_segment(self, chunks: Sequence[tuple[bytes, Buffer]]) -> None:
        table = pack_table(chunks)
        head = HEAD.pack(MAGIC, len(chunks)) + table + hashlib.sha256(table).digest()
        size = len(head) + sum(len(data) for _, data in chunks)
        number = self._reserve(size)
        try:
            self._write_durably(number, [head, *(data for _, data in chunks)])
        except OSError as error:
            with self._lock:
                self._bytes -= size
            if error.errno in FULL_ERRORS:
                raise StoreFullError(
                    f"the store is full ({error.strerror}): free space on the server's disk, "
                    "then run the backup again; it continues where it stopped"
                ) from None
            raise
        offset = len(head)
        with self._lock:
            for digest, data in chunks:
                self._index[digest] = Place(number, offset, len(data))
                self._corrupt.discard(digest)
                offset += len(data)

    def _reserve(self, size: int) -> int:
        with self._lock:
            if self._quota is not None and self._bytes + size > self._quota:
                raise StoreFullError(
                    f"the store is full: {self._bytes} of {self._quota} bytes are used and "
                    f"{size} more do not fit; raise the server's --quota-bytes, then run the "
                    "backup again; it continues where it stopped"
                )
            self._bytes += size
            number = self._next
            self._next += 1
            return number

    def _write_durably(self, number: int, pieces: Sequence[Buffer]) -> None:
        temporary = self._tmp / f"{number:012d}.tmp"
        final = self._path(number)
        try:
            with open(temporary, "xb") as file:
                for piece in pieces:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            if not final.parent.is_dir():
                final.parent.mkdir(exist_ok=True)
                _sync_directory(self._segments)
            os.rename(temporary, final)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        _sync_directory(final.parent)

    def _path(self, number: int) -> Path:
        return self._segments / f"{number // SEGMENTS_PER_DIRECTORY:06d}" / f"{number:012d}.seg"

    def _load(self, path: Path) -> None:
        number = int(path.stem)
        self._next = max(self._next, number + 1)
        self._bytes += path.stat().st_size
        try:
            for digest, offset, length in _read_table(path):
                self._index[digest] = Place(number, offset, length)
        except ValueError as error:
            log.error("segment %s is damaged, its chunks count as missing: %s", path, error)


def _read_table(path: Path) -> Iterator[tuple[bytes, int, int]]:
    with open(path, "rb") as file:
        head = file.read(HEAD.size)
        if len(head) < HEAD.size:
            raise ValueError("shorter than its head")
        magic, count = HEAD.unpack(head)
        table = file.read(count * TABLE_RECORD.size)
        if magic != MAGIC or hashlib.sha256(table).digest() != file.read(32):
            raise ValueError("its table does not verify")
        offset = file.tell()
    for digest, length in TABLE_RECORD.iter_unpack(table):
        yield digest, offset, length
        offset += length


def _lock_store(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise UsageError(
            f"the store {path.parent} is in use by another server: stop that one first"
        ) from None
    return descriptor


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
