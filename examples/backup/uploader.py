"""Backing up a tree: walk it, send the chunks the server lacks, record the entries."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import os
import threading
import time
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from errors import UsageError
from manifest import CHUNK_BYTES, DIRECTORY, FILE, HOLE, Entry, to_wire
from pool import Pool
from progress import Progress
from protocol import pack_table, pair
from rpc import Client, Target
from walker import CHANGED, OpenFile, Problem, problem, walk

# A job is one large file, or as many small ones as make a request worth while.
JOB_ENTRIES = 128
JOB_BYTES = 1 << 20
# Ask and send when this much has been read.
BATCH_BYTES = 1 << 20
BATCH_CHUNKS = 1024


@dataclass
class Summary:
    """What a backup did. Sizes in bytes; `bytes` counts the files' contents."""

    snapshot: int = 0
    files: int = 0
    directories: int = 0
    links: int = 0
    bytes: int = 0
    chunks_sent: int = 0
    bytes_sent: int = 0
    chunks_reused: int = 0
    retries: int = 0
    seconds: float = 0.0
    problems: list[Problem] = field(default_factory=list)


class Throttle:
    """Spreads what all threads send so that it stays under a rate in bytes per second."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._free_at = 0.0

    def take(self, amount: int, stop: threading.Event) -> None:
        """Wait until `amount` bytes may be sent, or `stop` is set."""
        if self._rate is None:
            return
        with self._lock:
            now = time.monotonic()
            wait = max(0.0, self._free_at - now)
            self._free_at = now + wait + amount / self._rate
        stop.wait(wait)


@dataclass(frozen=True)
class Options:
    """How to back up: the tree, names to leave out, threads, bytes per second."""

    root: bytes
    name: str
    exclude: Collection[bytes] = ()
    threads: int = 32
    rate: float | None = None


class Backup:
    """One run of `client.py backup`."""

    def __init__(self, target: Target, options: Options, progress: Progress) -> None:
        self._target = target
        self._options = options
        self._progress = progress
        self._throttle = Throttle(options.rate)
        self._lock = threading.Lock()
        self._claimed: set[bytes] = set()
        self.summary = Summary()

    def run(self) -> Summary:
        """Back up the tree; return what was done, problems included.

        Raises UsageError if the root is no readable directory, and whatever
        keeps the backup from completing; running it again then continues, for
        chunks that were acknowledged are not sent again.
        """
        root = self._options.root
        if not os.path.isdir(root):
            raise UsageError(f"{os.fsdecode(root)!r} is not a directory")
        started = time.monotonic()
        pool = Pool(self._target, self._options.name, self._options.threads, self._upload)
        begin = {
            "op": "begin",
            "key": uuid.uuid4().hex,
            "name": self._options.name,
            "root": base64.b64encode(root).decode(),
            "chunk_size": CHUNK_BYTES,
        }
        with Client(self._target, self._options.name, pool.stop, pool.retries) as client:
            self.summary.snapshot = client.call(begin).header["snapshot"]
            client.close()  # not left idle while the workers work
            try:
                pool.run(self._jobs())
            except OSError as error:
                raise UsageError(f"cannot read {os.fsdecode(root)!r}: {error}") from None
            client.call({"op": "commit", "snapshot": self.summary.snapshot})
        self.summary.retries = pool.retries.value
        self.summary.seconds = time.monotonic() - started
        return self.summary

    def _jobs(self) -> Iterator[list[Entry]]:
        job: list[Entry] = []
        size = 0
        for found in walk(self._options.root, self._options.exclude):
            if isinstance(found, Problem):
                self._report(found)
                continue
            self._progress.expect(found.size)
            if found.size > JOB_BYTES:
                yield [found]
                continue
            job.append(found)
            size += found.size
            if len(job) >= JOB_ENTRIES or size >= JOB_BYTES:
                yield job
                job, size = [], 0
        if job:
            yield job

    def _upload(self, client: Client, job: list[Entry]) -> None:
        batch = _Batch(self, client)
        entries = []
        for entry in job:
            if entry.kind != FILE:
                entries.append(entry)
                continue
            try:
                entries.append(self._read(entry, batch))
            except OSError as error:
                self._report(problem(entry.path, error))
            self._progress.done(entry.size)
        batch.flush()
        wire, body = to_wire(entries)
        client.call({"op": "entries", "snapshot": self.summary.snapshot, "entries": wire}, [body])
        self._count(entries)

    def _read(self, entry: Entry, batch: _Batch) -> Entry:
        """Put a file's chunks in the batch; its entry as it was when opened."""
        file = OpenFile.open(os.path.join(self._options.root, entry.path))
        try:
            digests = []
            size = 0
            for data, length in file.chunks():
                size += length
                digest = HOLE if data is None else hashlib.sha256(data).digest()
                digests.append(digest)
                if data is not None:
                    batch.add(digest, data)
            if file.changed() or size != file.info.st_size:
                self._report(
                    Problem(entry.path, CHANGED, f"written to meanwhile; {size} bytes are kept")
                )
            return dataclasses.replace(
                entry,
                mode=file.info.st_mode & 0o7777,
                mtime_ns=file.info.st_mtime_ns,
                size=size,
                chunks=tuple(digests),
            )
        finally:
            file.close()

    def send(self, client: Client, chunks: dict[bytes, bytes]) -> None:
        """Have the server hold `chunks`, those another thread is sending left to it.

        That is safe because a snapshot is only complete once the server has
        found every chunk of it.
        """
        with self._lock:
            mine = [digest for digest in chunks if digest not in self._claimed]
            self._claimed.update(mine)
        if not mine:
            return
        held = bytes(client.call({"op": "have"}, [b"".join(mine)]).body)
        missing = [(d, chunks[d]) for d, known in pair(mine, held) if not known]
        size = sum(len(data) for _, data in missing)
        if missing:
            self._throttle.take(size, client.stop)
            body = [pack_table(missing), *(data for _, data in missing)]
            client.call({"op": "put", "count": len(missing)}, body)
        with self._lock:
            self.summary.chunks_sent += len(missing)
            self.summary.bytes_sent += size
            self.summary.chunks_reused += len(mine) - len(missing)

    def _count(self, entries: list[Entry]) -> None:
        kinds = [entry.kind for entry in entries]
        files, directories = kinds.count(FILE), kinds.count(DIRECTORY)
        with self._lock:
            self.summary.files += files
            self.summary.directories += directories
            self.summary.links += len(kinds) - files - directories
            self.summary.bytes += sum(entry.size for entry in entries)

    def _report(self, trouble: Problem) -> None:
        with self._lock:
            self.summary.problems.append(trouble)


class _Batch:
    """Chunks read and not yet sent, by one thread."""

    def __init__(self, backup: Backup, client: Client) -> None:
        self._backup = backup
        self._client = client
        self._chunks: dict[bytes, bytes] = {}
        self._bytes = 0

    def add(self, digest: bytes, data: bytes) -> None:
        self._chunks[digest] = data
        self._bytes += len(data)
        if self._bytes >= BATCH_BYTES or len(self._chunks) >= BATCH_CHUNKS:
            self.flush()

    def flush(self) -> None:
        if self._chunks:
            self._backup.send(self._client, self._chunks)
            self._chunks = {}
            self._bytes = 0
