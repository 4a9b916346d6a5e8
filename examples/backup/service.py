"""What the server does for each request, apart from connections and logins."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

from catalog import Catalog
from chunkstore import ChunkStore
from errors import ProtocolError
from hub import Hub
from manifest import from_wire, to_wire
from protocol import (
    MAX_CHUNK_BYTES,
    MAX_CHUNKS_PER_REQUEST,
    SESSION_LIMITS,
    ErrorCode,
    Frame,
    Header,
    split_digests,
    unpack_chunks,
)

MIN_CHUNK_BYTES = 4 << 10
MAX_WAIT_SECONDS = 600.0


@dataclass
class Reply:
    """The fields and the body of a successful answer."""

    fields: Header
    body: tuple[bytes, ...] = ()


class Service:
    """Answers requests from many connections at once."""

    def __init__(self, store: ChunkStore, catalog: Catalog, hub: Hub) -> None:
        self._store = store
        self._catalog = catalog
        self._hub = hub
        self._operations: dict[str, Callable[[Frame], Reply]] = {
            "have": self._have,
            "put": self._put,
            "get": self._get,
            "check": self._check,
            "begin": self._begin,
            "entries": self._entries,
            "commit": self._commit,
            "snapshots": self._snapshots,
            "manifest": self._manifest,
            "stats": self._stats,
            "broadcast": self._broadcast,
        }

    def handle(self, request: Frame) -> Reply:
        """Carry out one request; what was acknowledged is durable.

        Raises ProtocolError for a request that cannot be carried out as it is,
        StoreFullError when there is no room.
        """
        op = request.header.get("op")
        operation = self._operations.get(op) if isinstance(op, str) else None
        if operation is None:
            raise ProtocolError(ErrorCode.BAD_REQUEST, f"unknown request {op!r}")
        return operation(request)

    def _have(self, request: Frame) -> Reply:
        return Reply({}, (bytes(self._store.has(_digests(request))),))

    def _put(self, request: Frame) -> Reply:
        chunks = unpack_chunks(request.body, _integer(request, "count"))
        return Reply({"stored": self._store.put(chunks)})

    def _get(self, request: Frame) -> Reply:
        sizes = []
        pieces = []
        room = SESSION_LIMITS.body
        for digest in _digests(request):
            data = self._store.get(digest)
            sizes.append(-1 if data is None else len(data))
            if data is not None:
                room -= len(data)
                pieces.append(data)
            if room < 0:
                raise ProtocolError(
                    ErrorCode.TOO_LARGE, f"ask for at most {SESSION_LIMITS.body} bytes at once"
                )
        return Reply({"sizes": sizes}, tuple(pieces))

    def _check(self, request: Frame) -> Reply:
        return Reply({"status": [self._store.check(digest) for digest in _digests(request)]})

    def _begin(self, request: Frame) -> Reply:
        chunk_size = _integer(request, "chunk_size")
        if not MIN_CHUNK_BYTES <= chunk_size <= MAX_CHUNK_BYTES:
            raise ProtocolError(ErrorCode.BAD_REQUEST, f"bad chunk size: {chunk_size} bytes")
        snapshot = self._catalog.begin(
            _text(request, "key"),
            _text(request, "name"),
            _bytes(request, "root"),
            chunk_size,
        )
        return Reply({"snapshot": snapshot})

    def _entries(self, request: Frame) -> Reply:
        entries = from_wire(request.header.get("entries"), request.body)
        self._catalog.add(_integer(request, "snapshot"), entries)
        return Reply({})

    def _commit(self, request: Frame) -> Reply:
        snapshot = _integer(request, "snapshot")
        needed = list(self._catalog.digests(snapshot))
        missing = self._store.has(needed).count(False)
        if missing:
            raise ProtocolError(
                ErrorCode.INCOMPLETE,
                f"snapshot {snapshot} lacks {missing} chunks: run the backup again",
            )
        files, size = self._catalog.commit(snapshot)
        return Reply({"files": files, "bytes": size})

    def _snapshots(self, _request: Frame) -> Reply:
        snapshots = self._catalog.snapshots()
        for snapshot in snapshots:
            snapshot["root"] = base64.b64encode(snapshot["root"]).decode()
        return Reply({"snapshots": snapshots})

    def _manifest(self, request: Frame) -> Reply:
        entries, chunk_size, more = self._catalog.page(
            _integer(request, "snapshot"), _bytes(request, "after")
        )
        wire, body = to_wire(entries)
        return Reply({"entries": wire, "chunk_size": chunk_size, "more": more}, (body,))

    def _stats(self, _request: Frame) -> Reply:
        chunks, size = self._store.usage()
        return Reply({"subscribers": self._hub.count(), "chunks": chunks, "bytes": size})

    def _broadcast(self, request: Frame) -> Reply:
        wait = request.header.get("wait_seconds")
        if not isinstance(wait, (int, float)) or not math.isfinite(wait):
            raise ProtocolError(ErrorCode.BAD_REQUEST, "wait_seconds is not a number")
        outcome = self._hub.broadcast(
            _text(request, "kind"),
            request.header.get("detail"),
            min(max(float(wait), 0.0), MAX_WAIT_SECONDS),
        )
        return Reply(asdict(outcome))


def _digests(request: Frame) -> list[bytes]:
    digests = split_digests(request.body)
    if len(digests) > MAX_CHUNKS_PER_REQUEST:
        raise ProtocolError(
            ErrorCode.TOO_LARGE, f"ask about at most {MAX_CHUNKS_PER_REQUEST} chunks at once"
        )
    return digests


def _integer(request: Frame, name: str) -> int:
    value = request.header.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 1 << 63:
        raise ProtocolError(ErrorCode.BAD_REQUEST, f"{name} is not a whole number")
    return value


def _text(request: Frame, name: str) -> str:
    value = request.header.get(name)
    if not isinstance(value, str) or not value.isprintable() or len(value) > 1000:
        raise ProtocolError(ErrorCode.BAD_REQUEST, f"{name} is not a short printable text")
    return value


def _bytes(request: Frame, name: str) -> bytes:
    value = request.header.get(name)
    try:
        if isinstance(value, str):
            return base64.b64decode(value, validate=True)
    except ValueError:
        pass
    raise ProtocolError(ErrorCode.BAD_REQUEST, f"{name} is not base64")
