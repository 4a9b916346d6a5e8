"""What a snapshot says about one path, and how it crosses the wire.

Paths and link targets are bytes, as the file system has them: names that are
not UTF-8, or that hold newlines, survive unchanged. On the wire they are
base64; digests travel in the frame's body.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from errors import HostileManifestError, ProtocolError
from protocol import DIGEST_BYTES, ErrorCode

CHUNK_BYTES = 1 << 20
# A stretch of zeros: never stored, restored as a hole.
HOLE = bytes(DIGEST_BYTES)
ROOT = b"."
# 128 GiB in chunks of 1 MiB: the digests of one file must fit in one frame.
MAX_FILE_CHUNKS = 128 << 10

FILE = "file"
DIRECTORY = "dir"
SYMLINK = "link"
KINDS = frozenset({FILE, DIRECTORY, SYMLINK})


@dataclass(frozen=True)
class Entry:
    """One path of a snapshot.

    `path` is relative to the root with "/" between parts (b"." is the root);
    `mode` the permission bits; `mtime_ns` nanoseconds since 1970; `size` bytes.
    """

    path: bytes
    kind: str
    mode: int
    mtime_ns: int
    size: int = 0
    target: bytes = b""
    chunks: tuple[bytes, ...] = ()

    def chunk_length(self, index: int, chunk_bytes: int) -> int:
        """Length in bytes of chunk `index`: full, but for the last one."""
        return min(chunk_bytes, self.size - index * chunk_bytes)


def display(path: bytes) -> str:
    """`path` for a person: one line, controls and undecodable bytes escaped."""
    text = os.fsdecode(path)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def to_wire(entries: Sequence[Entry]) -> tuple[list[dict[str, Any]], bytes]:
    """`entries` as the JSON list and the body of a frame."""
    wire = [
        {
            "path": _encode(entry.path),
            "kind": entry.kind,
            "mode": entry.mode,
            "mtime_ns": entry.mtime_ns,
            "size": entry.size,
            "target": _encode(entry.target),
            "chunks": len(entry.chunks),
        }
        for entry in entries
    ]
    return wire, b"".join(digest for entry in entries for digest in entry.chunks)


def from_wire(wire: object, body: memoryview) -> list[Entry]:
    """The entries in a frame; ProtocolError if they are malformed.

    Only the form is checked here; whether the paths are safe to restore is
    `check_restorable`'s business.
    """
    try:
        entries = list(_parse(wire, bytes(body)))
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError(ErrorCode.BAD_REQUEST, f"malformed manifest: {error!r}") from None
    return entries


def check_restorable(entries: Iterable[Entry], chunk_bytes: int) -> None:
    """Refuse a manifest that could write outside the destination.

    Raises HostileManifestError naming the path if one is absolute, has "..",
    empty or "." parts or a NUL, occurs twice, lies in something that is not a
    directory of the same manifest, or has a size that disagrees with its chunks.
    """
    kinds: dict[bytes, str] = {}
    for entry in entries:
        _check_path(entry)
        if entry.path in kinds:
            raise _hostile(entry, "occurs twice")
        kinds[entry.path] = entry.kind
        expected = -(-entry.size // chunk_bytes) if entry.kind == FILE else 0
        if entry.size < 0 or len(entry.chunks) != expected:
            raise _hostile(entry, "has a size that disagrees with its chunks")
    for path in kinds:
        parent = os.path.dirname(path)
        if parent and kinds.get(parent) != DIRECTORY:
            raise HostileManifestError(
                f"refusing to restore: {display(path)!r} lies in something that is not a "
                "directory of this snapshot; do not trust this server's catalogue"
            )


def _check_path(entry: Entry) -> None:
    if entry.path == ROOT:
        if entry.kind != DIRECTORY:
            raise _hostile(entry, "is not a directory")
        return
    if entry.path.startswith(b"/"):
        raise _hostile(entry, "is an absolute path")
    if b"\0" in entry.path or (entry.kind == SYMLINK and b"\0" in entry.target):
        raise _hostile(entry, "holds a NUL byte")
    if any(part in (b"", b".", b"..") for part in entry.path.split(b"/")):
        raise _hostile(entry, "leaves the destination or is not in its plain form")
    if entry.kind not in KINDS:
        raise _hostile(entry, f"is of an unknown kind {entry.kind!r}")


def _hostile(entry: Entry, why: str) -> HostileManifestError:
    return HostileManifestError(
        f"refusing to restore: path {display(entry.path)!r} {why}; "
        "do not trust this server's catalogue"
    )


def _parse(wire: object, body: bytes) -> Iterable[Entry]:
    if not isinstance(wire, list):
        raise TypeError("entries is not a list")
    at = 0
    for item in wire:
        end = at + int(item["chunks"]) * DIGEST_BYTES
        if end < at or end > len(body):
            raise ValueError("fewer digests than announced")
        kind = item["kind"]
        if kind not in KINDS:
            raise ValueError(f"unknown kind {kind!r}")
        yield Entry(
            path=_decode(item["path"]),
            kind=kind,
            mode=int(item["mode"]) & 0o7777,
            mtime_ns=int(item["mtime_ns"]),
            size=int(item["size"]),
            target=_decode(item["target"]),
            chunks=tuple(body[i : i + DIGEST_BYTES] for i in range(at, end, DIGEST_BYTES)),
        )
        at = end
    if at != len(body):
        raise ValueError("more digests than announced")


def _encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _decode(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
