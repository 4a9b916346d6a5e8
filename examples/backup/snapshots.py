"""Asking the server about snapshots and their manifests."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from errors import ProtocolError, UsageError
from manifest import FILE, Entry, display, from_wire
from protocol import MAX_CHUNK_BYTES, ErrorCode
from rpc import Client
from walker import Problem

DAMAGED = "damaged"
MIN_CHUNK_BYTES = 4 << 10


@dataclass(frozen=True)
class Manifest:
    """All entries of a snapshot and the length of its chunks in bytes."""

    snapshot: int
    entries: list[Entry]
    chunk_bytes: int


def all_snapshots(client: Client) -> list[dict[str, Any]]:
    """The server's snapshots, oldest first, with `root` as bytes."""
    snapshots: list[dict[str, Any]] = client.call({"op": "snapshots"}).header["snapshots"]
    for snapshot in snapshots:
        snapshot["root"] = base64.b64decode(snapshot["root"])
    return snapshots


def choose(client: Client, wanted: str) -> int:
    """The number of a complete snapshot: "latest" or a number.

    Raises UsageError if there is none such.
    """
    complete = [s["id"] for s in all_snapshots(client) if s["completed"] is not None]
    if wanted == "latest" and complete:
        return int(complete[-1])
    if wanted.isdigit() and int(wanted) in complete:
        return int(wanted)
    raise UsageError(f"no complete snapshot {wanted}: `client.py list` shows what there is")


def fetch(client: Client, snapshot: int) -> Manifest:
    """The manifest of a snapshot. ProtocolError if it is malformed."""
    entries: list[Entry] = []
    after = b""
    while True:
        page = client.call(
            {
                "op": "manifest",
                "snapshot": snapshot,
                "after": base64.b64encode(after).decode(),
            }
        )
        entries += from_wire(page.header.get("entries"), page.body)
        chunk_bytes = page.header.get("chunk_size")
        if not isinstance(chunk_bytes, int) or not (
            MIN_CHUNK_BYTES <= chunk_bytes <= MAX_CHUNK_BYTES
        ):
            raise ProtocolError(ErrorCode.BAD_REQUEST, f"bad chunk size {chunk_bytes!r}")
        if not page.header.get("more") or not entries:
            return Manifest(snapshot, entries, chunk_bytes)
        after = entries[-1].path


def name_damage(manifest: Manifest, bad: dict[bytes, str]) -> list[Problem]:
    """A Problem for every use of a bad chunk, naming file, chunk and what is wrong."""
    problems = []
    for entry in manifest.entries:
        if entry.kind != FILE:
            continue
        for index, digest in enumerate(entry.chunks):
            if digest in bad:
                where = f"chunk {index} at byte {index * manifest.chunk_bytes}"
                detail = f"{where}, {digest.hex()}, is {bad[digest]}"
                problems.append(Problem(entry.path, DAMAGED, detail))
    return problems


def describe(problem: Problem) -> str:
    """One line about a problem, for a person."""
    return f"{problem.kind}: {display(problem.path)}: {problem.detail}"
