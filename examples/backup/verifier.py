"""Verifying a snapshot: the server reads and hashes every chunk of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from manifest import FILE, HOLE
from pool import Pool
from progress import Progress
from protocol import pair
from rpc import Client, Target
from snapshots import Manifest, name_damage
from walker import Problem

BATCH_BYTES = 16 << 20
BATCH_CHUNKS = 256


def verify(
    target: Target, name: str, manifest: Manifest, threads: int, progress: Progress
) -> tuple[int, list[Problem]]:
    """Have every chunk checked; return how many there are and what is wrong.

    A chunk found corrupt will be sent again by the next backup that has it.
    """
    bad: dict[bytes, str] = {}
    lock = threading.Lock()
    sizes = _sizes(manifest)

    def check(client: Client, digests: list[bytes]) -> None:
        answer = client.call({"op": "check"}, [b"".join(digests)]).header["status"]
        with lock:
            bad.update((d, status) for d, status in pair(digests, answer) if status != "ok")
        progress.done(sum(sizes[digest] for digest in digests))

    progress.expect(sum(sizes.values()))
    Pool(target, name, threads, check).run(_batches(sizes))
    return len(sizes), name_damage(manifest, bad)


def _sizes(manifest: Manifest) -> dict[bytes, int]:
    return {
        digest: entry.chunk_length(index, manifest.chunk_bytes)
        for entry in manifest.entries
        if entry.kind == FILE
        for index, digest in enumerate(entry.chunks)
        if digest != HOLE
    }


def _batches(sizes: dict[bytes, int]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    total = 0
    for digest, size in sizes.items():
        batch.append(digest)
        total += size
        if total >= BATCH_BYTES or len(batch) >= BATCH_CHUNKS:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch
