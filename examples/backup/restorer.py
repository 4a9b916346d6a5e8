"""Restoring a snapshot into an empty directory.

Nothing is written until the whole manifest has been found to stay inside the
destination. Directories are made first, then files, and symbolic links only
when all contents are in place, so that nothing is ever written through a link
that came from the manifest. Modes and times are set last, deepest first.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from errors import UsageError
from manifest import DIRECTORY, FILE, HOLE, ROOT, SYMLINK, Entry, check_restorable
from pool import Pool
from progress import Progress
from protocol import pair
from rpc import Client, Target
from snapshots import Manifest, name_damage
from walker import Problem, problem

BATCH_BYTES = 1 << 20
BATCH_PIECES = 256


Action = Callable[[bytes], None]


@dataclass(frozen=True)
class Piece:
    """One chunk of one file: its SHA-256, and where it goes, in bytes."""

    entry: Entry
    digest: bytes
    offset: int
    length: int


class Restore:
    """One run of `client.py restore`."""

    def __init__(
        self, target: Target, name: str, into: bytes, threads: int, progress: Progress
    ) -> None:
        self._target = target
        self._name = name
        self._into = into
        self._threads = threads
        self._progress = progress
        self._lock = threading.Lock()
        self._bad: dict[bytes, str] = {}
        self._problems: dict[bytes, Problem] = {}

    def run(self, manifest: Manifest) -> list[Problem]:
        """Restore everything; return what could not be, in path order.

        A file with a chunk that is missing or corrupt is left out and named.
        Raises HostileManifestError, with nothing written, for a manifest that
        would leave the destination; UsageError if that is not empty.
        """
        check_restorable(manifest.entries, manifest.chunk_bytes)
        self._make_destination()
        entries = sorted(manifest.entries, key=lambda entry: entry.path)
        directories = [e for e in entries if e.kind == DIRECTORY and e.path != ROOT]
        for entry in directories:
            self._attempt(entry, lambda path: os.mkdir(path, 0o700))
        files = [e for e in entries if e.kind == FILE and self._create(e)]
        self._progress.expect(sum(entry.size for entry in files))
        Pool(self._target, self._name, self._threads, self._fetch).run(
            _batches(files, manifest.chunk_bytes)
        )
        damage = name_damage(manifest, self._bad)
        left_out = {trouble.path for trouble in damage} | self._problems.keys()
        files = [entry for entry in files if entry.path not in left_out]
        self._remove(left_out)
        for entry in entries:
            if entry.kind == SYMLINK:
                self._link(entry)
        for entry in [*files, *reversed(directories), *(e for e in entries if e.path == ROOT)]:
            self._finish(entry)
        return sorted([*damage, *self._problems.values()], key=lambda p: (p.path, p.detail))

    def _make_destination(self) -> None:
        try:
            os.makedirs(self._into, exist_ok=True)
            if os.listdir(self._into):
                raise UsageError(
                    f"{os.fsdecode(self._into)!r} is not empty: restore into a new directory"
                )
        except OSError as error:
            raise UsageError(f"cannot restore there: {error}") from None

    def _full(self, entry: Entry) -> bytes:
        return os.path.join(self._into, entry.path)

    def _attempt(self, entry: Entry, action: Action) -> bool:
        """Do something to an entry's path unless it has failed before."""
        if entry.path in self._problems:
            return False
        try:
            action(self._full(entry))
        except OSError as error:
            with self._lock:
                self._problems.setdefault(entry.path, problem(entry.path, error))
            return False
        return True

    def _create(self, entry: Entry) -> bool:
        def create(path: bytes) -> None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(path, flags, 0o600)
            try:
                os.ftruncate(descriptor, entry.size)
            finally:
                os.close(descriptor)

        return self._attempt(entry, create)

    def _fetch(self, client: Client, pieces: list[Piece]) -> None:
        """Get some chunks and write them where they belong."""
        digests = list(dict.fromkeys(piece.digest for piece in pieces))
        answer = client.call({"op": "get"}, [b"".join(digests)])
        chunks: dict[bytes, memoryview] = {}
        at = 0
        for digest, size in pair(digests, answer.header["sizes"]):
            data = answer.body[at : at + max(size, 0)]
            at += max(size, 0)
            if size < 0:
                self._bad[digest] = "missing"
            elif hashlib.sha256(data).digest() != digest:
                self._bad[digest] = "corrupt"
            else:
                chunks[digest] = data
        for piece in pieces:
            chunk = chunks.get(piece.digest)
            if chunk is not None and len(chunk) != piece.length:
                self._bad[piece.digest] = "of another length than the manifest says"
            elif chunk is not None:
                self._write(piece, chunk)
            self._progress.done(piece.length)

    def _write(self, piece: Piece, data: memoryview) -> None:
        def write(path: bytes) -> None:
            descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                done = 0
                while done < len(data):
                    done += os.pwrite(descriptor, data[done:], piece.offset + done)
            finally:
                os.close(descriptor)

        self._attempt(piece.entry, write)

    def _remove(self, paths: Iterable[bytes]) -> None:
        """Leave no file behind whose contents are not what was backed up."""
        for path in paths:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(self._into, path))

    def _link(self, entry: Entry) -> None:
        def link(path: bytes) -> None:
            os.symlink(entry.target, path)
            times = (entry.mtime_ns, entry.mtime_ns)
            os.utime(path, ns=times, follow_symlinks=False)

        self._attempt(entry, link)

    def _finish(self, entry: Entry) -> None:
        def finish(path: bytes) -> None:
            os.chmod(path, entry.mode)
            os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns))

        self._attempt(entry, finish)


def _batches(files: Iterable[Entry], chunk_bytes: int) -> Iterator[list[Piece]]:
    """All chunks but holes, in batches that fit a request."""
    batch: list[Piece] = []
    total = 0
    for entry in files:
        for index, digest in enumerate(entry.chunks):
            if digest == HOLE:
                continue
            length = entry.chunk_length(index, chunk_bytes)
            batch.append(Piece(entry, digest, index * chunk_bytes, length))
            total += length
            if total >= BATCH_BYTES or len(batch) >= BATCH_PIECES:
                yield batch
                batch, total = [], 0
    if batch:
        yield batch
