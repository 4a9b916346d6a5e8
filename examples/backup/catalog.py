"""The catalogue of snapshots, in SQLite.

Each thread has a connection of its own (sqlite3 refuses to share them), opened
at its first use and closed by `Catalog.release` when the thread ends. Writers
queue on one lock rather than on SQLite's busy timeout, which is not fair.
Transactions are durable when a method returns (WAL, synchronous=FULL).
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from errors import ProtocolError, StoreFullError
from manifest import FILE, HOLE, Entry
from protocol import DIGEST_BYTES, ErrorCode

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE snapshots (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,          -- chosen by the client, makes begin repeatable
    name TEXT NOT NULL,
    root BLOB NOT NULL,
    chunk_size INTEGER NOT NULL,
    started REAL NOT NULL,             -- seconds since 1970
    completed REAL,                    -- NULL while the backup runs
    files INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE entries (
    snapshot INTEGER NOT NULL REFERENCES snapshots(id) ON DELETE CASCADE,
    path BLOB NOT NULL,
    kind TEXT NOT NULL,
    mode INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    size INTEGER NOT NULL,
    target BLOB NOT NULL,
    chunks BLOB NOT NULL,              -- SHA-256 digests, one after another
    PRIMARY KEY (snapshot, path)
) WITHOUT ROWID;
"""
PAGE_ENTRIES = 1000
PAGE_DIGEST_BYTES = 4 << 20
ABANDONED_SECONDS = 7 * 24 * 3600
BUSY_SECONDS = 30.0


class Catalog:
    """Snapshots and their entries; safe for many threads."""

    def __init__(self, path: Path) -> None:
        """Open the catalogue, creating it if it does not exist."""
        self._path = path
        self._local = threading.local()
        self._write_lock = threading.Lock()
        with self._write() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in SCHEMA.split(";\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                raise ProtocolError(
                    ErrorCode.INTERNAL,
                    f"catalogue {path} has format {version}, this release reads "
                    f"{SCHEMA_VERSION}: use the release that wrote it",
                )

    def release(self) -> None:
        """Close this thread's connection, if it has one."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            del self._local.connection
            connection.close()

    def begin(self, key: str, name: str, root: bytes, chunk_size: int) -> int:
        """Open a snapshot and return its number; the same key gives the same number.

        Snapshots begun more than a week ago and never completed are removed.
        """
        now = time.time()
        with self._write() as connection:
            connection.execute(
                "DELETE FROM snapshots WHERE completed IS NULL AND started < ?",
                (now - ABANDONED_SECONDS,),
            )
            connection.execute(
                "INSERT OR IGNORE INTO snapshots (key, name, root, chunk_size, started) "
                "VALUES (?, ?, ?, ?, ?)",
                (key, name, root, chunk_size, now),
            )
            row = connection.execute("SELECT id FROM snapshots WHERE key = ?", (key,)).fetchone()
            return int(row["id"])

    def add(self, snapshot: int, entries: Sequence[Entry]) -> None:
        """Record entries; one with the same path is replaced.

        Raises ProtocolError if the snapshot does not exist or is complete.
        """
        rows = [
            (snapshot, e.path, e.kind, e.mode, e.mtime_ns, e.size, e.target, b"".join(e.chunks))
            for e in entries
        ]
        with self._write() as connection:
            if self._snapshot(connection, snapshot)["completed"] is not None:
                raise ProtocolError(
                    ErrorCode.BAD_REQUEST, f"snapshot {snapshot} is complete: begin another"
                )
            connection.executemany(
                "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows
            )

    def digests(self, snapshot: int) -> Iterator[bytes]:
        """Every distinct digest that a snapshot needs, holes left out."""
        seen = {HOLE}
        rows = self._connection().execute(
            "SELECT chunks FROM entries WHERE snapshot = ? AND kind = ?", (snapshot, FILE)
        )
        for (chunks,) in rows:
            for at in range(0, len(chunks), DIGEST_BYTES):
                digest = chunks[at : at + DIGEST_BYTES]
                if digest not in seen:
                    seen.add(digest)
                    yield digest

    def commit(self, snapshot: int) -> tuple[int, int]:
        """Complete a snapshot; return its number of files and their bytes.

        Completing it again changes nothing and returns the same.
        """
        with self._write() as connection:
            row = self._snapshot(connection, snapshot)
            if row["completed"] is None:
                connection.execute(
                    "UPDATE snapshots SET completed = ?, (files, bytes) = "
                    "(SELECT count(*), coalesce(sum(size), 0) FROM entries "
                    " WHERE snapshot = id AND kind = ?) WHERE id = ?",
                    (time.time(), FILE, snapshot),
                )
                row = self._snapshot(connection, snapshot)
            return int(row["files"]), int(row["bytes"])

    def snapshots(self) -> list[dict[str, Any]]:
        """All snapshots, oldest first; `completed` is None for one not finished."""
        rows = self._connection().execute(
            "SELECT id, name, root, started, completed, files, bytes FROM snapshots ORDER BY id"
        )
        return [dict(row) for row in rows]

    def page(self, snapshot: int, after: bytes) -> tuple[list[Entry], int, bool]:
        """Entries following path `after` in order, the chunk size, and whether more follow.

        A page is kept small enough for one frame. Raises ProtocolError if there
        is no such snapshot.
        """
        connection = self._connection()
        chunk_size = int(self._snapshot(connection, snapshot)["chunk_size"])
        rows = connection.execute(
            "SELECT path, kind, mode, mtime_ns, size, target, chunks FROM entries "
            "WHERE snapshot = ? AND path > ? ORDER BY path LIMIT ?",
            (snapshot, after, PAGE_ENTRIES),
        )
        entries: list[Entry] = []
        digest_bytes = 0
        for path, kind, mode, mtime_ns, size, target, chunks in rows:
            digest_bytes += len(chunks)
            if entries and digest_bytes > PAGE_DIGEST_BYTES:
                return entries, chunk_size, True
            digests = tuple(
                chunks[at : at + DIGEST_BYTES] for at in range(0, len(chunks), DIGEST_BYTES)
            )
            entries.append(Entry(path, kind, mode, mtime_ns, size, target, digests))
        return entries, chunk_size, len(entries) == PAGE_ENTRIES

    def _snapshot(self, connection: sqlite3.Connection, snapshot: int) -> sqlite3.Row:
        row: sqlite3.Row | None = connection.execute(
            "SELECT * FROM snapshots WHERE id = ?", (snapshot,)
        ).fetchone()
        if row is None:
            raise ProtocolError(
                ErrorCode.NOT_FOUND, f"no snapshot {snapshot}: `client.py list` shows them"
            )
        return row

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            self._local.connection = connection
        return connection

    @contextlib.contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection()
        with self._write_lock:
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException as error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                if _is_full(error):
                    raise StoreFullError(
                        "the catalogue cannot grow: free space on the server's disk, then run "
                        "the backup again; it continues where it stopped"
                    ) from None
                raise


def _is_full(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and "disk is full" in str(error)
