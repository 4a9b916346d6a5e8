"""The wire protocol: frames, their limits, and the chunk table.

A connection is TLS over TCP. Either side sends frames::

    offset  size  meaning
    0       2     magic, b"BK"
    2       1     protocol version, 1
    3       1     reserved, 0
    4       4     header length in bytes, big-endian, at most 1 MiB
    8       4     body length in bytes, big-endian, at most 8 MiB
    12      ...   header: one JSON object, UTF-8
    ...     ...   body: raw bytes

The version and both lengths are checked before anything more is read. Until
the peer has logged in, a header may have 4 KiB and a body nothing.

Opening: the server sends ``{"hello", "version", "nonce"}``; the client answers
``{"op": "login", "client", "nonce", "proof"}``; the server answers with its own
proof (see auth.py). After that the client sends requests, one at a time, and
the server answers each: ``{"ok": true, ...}`` or
``{"ok": false, "code", "message"}`` with a code of `ErrorCode`.

Requests (fields; body) and replies -> (fields; body)::

    have        (; digests)                    -> (; one byte per digest, 1 = held)
    put         (count; chunk table, data)     -> (stored)     durable when answered
    get         (; digests)                    -> (sizes, -1 = not held; data)
    check       (; digests)                    -> (status: ok|missing|corrupt)
    begin       (key, name, root, chunk_size)  -> (snapshot)   same key, same snapshot
    entries     (snapshot, entries; digests)   -> ()           replaces by path
    commit      (snapshot)                     -> (files, bytes)
    snapshots   ()                             -> (snapshots)
    manifest    (snapshot, after)              -> (entries, chunk_size, more; digests)
    stats       ()                             -> (subscribers, chunks, bytes, ...)
    broadcast   (kind, detail, wait_seconds)   -> (event, sent, acknowledged, missing)
    subscribe   ()                             -> () and the channel turns round:
                the server sends {"event": N, "kind", "detail"}, the client
                answers each with {"ack": N}; kind "ping" is a heartbeat, "bye"
                says that the server is stopping.

A digest is the 32 bytes of a SHA-256. The chunk table is `count` records of
digest and length (4 bytes, big-endian). All requests but `broadcast` may be
repeated without harm, which is what makes retrying safe.
"""

from __future__ import annotations

import enum
import json
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from errors import ProtocolError

MAGIC = b"BK"
VERSION = 1
PREAMBLE = struct.Struct(">2sBBII")
DIGEST_BYTES = 32
TABLE_RECORD = struct.Struct(">32sI")

MAX_CHUNK_BYTES = 4 << 20
MAX_CHUNKS_PER_REQUEST = 4096

Buffer = bytes | bytearray | memoryview
Header = dict[str, Any]
Answer = TypeVar("Answer")


class ErrorCode(enum.StrEnum):
    """Why a request failed."""

    BAD_VERSION = "bad-version"
    BAD_FRAME = "bad-frame"
    BAD_REQUEST = "bad-request"
    TOO_LARGE = "too-large"
    AUTH_FAILED = "auth-failed"
    NOT_FOUND = "not-found"
    INCOMPLETE = "incomplete"
    STORE_FULL = "store-full"
    SHUTTING_DOWN = "shutting-down"
    INTERNAL = "internal"


@dataclass(frozen=True)
class Limits:
    """The largest header and body, in bytes, that a reader accepts."""

    header: int
    body: int


LOGIN_LIMITS = Limits(header=4 << 10, body=0)
SESSION_LIMITS = Limits(header=1 << 20, body=8 << 20)


@dataclass
class Frame:
    """One frame as received."""

    header: Header
    body: memoryview


class ConnectionLost(ConnectionError):
    """The peer went away, between frames or in the middle of one."""


def send_frame(sock: socket.socket, header: Header, body: Sequence[Buffer] = ()) -> None:
    """Send one frame; `body` is sent as the concatenation of its pieces.

    Raises ProtocolError before sending anything if the frame is over the
    limits, OSError (including TimeoutError) if the connection fails.
    """
    encoded = json.dumps(header, separators=(",", ":")).encode()
    length = sum(len(piece) for piece in body)
    _check_sizes(len(encoded), length, SESSION_LIMITS)
    head = PREAMBLE.pack(MAGIC, VERSION, 0, len(encoded), length) + encoded
    if length <= 1 << 16:
        sock.sendall(b"".join([head, *body]))
        return
    sock.sendall(head)
    sock.sendall(body[0] if len(body) == 1 else b"".join(body))


def read_preamble(sock: socket.socket, limits: Limits) -> tuple[int, int]:
    """Wait for a frame to begin; return its header and body lengths in bytes.

    Raises ConnectionLost if the peer closed, ProtocolError for another magic,
    another version or a size over `limits`.
    """
    raw = _read_exactly(sock, PREAMBLE.size)
    magic, version, _reserved, header, body = PREAMBLE.unpack(raw)
    if magic != MAGIC:
        raise ProtocolError(ErrorCode.BAD_FRAME, "not a backup frame: wrong magic bytes")
    if version != VERSION:
        raise ProtocolError(
            ErrorCode.BAD_VERSION,
            f"protocol version {version} is not supported, only {VERSION}: "
            "use the same release on both sides",
        )
    _check_sizes(header, body, limits)
    return header, body


def read_payload(sock: socket.socket, header_bytes: int, body_bytes: int) -> Frame:
    """Read the rest of a frame whose preamble has been read."""
    raw = bytes(_read_exactly(sock, header_bytes))
    try:
        header = json.loads(raw)
    except ValueError as error:
        raise ProtocolError(ErrorCode.BAD_FRAME, f"frame header is not JSON: {error}") from None
    if not isinstance(header, dict):
        raise ProtocolError(ErrorCode.BAD_FRAME, "frame header is not a JSON object")
    return Frame(header, _read_exactly(sock, body_bytes))


def read_frame(sock: socket.socket, limits: Limits = SESSION_LIMITS) -> Frame:
    """Read one whole frame; see `read_preamble` for what it raises."""
    header, body = read_preamble(sock, limits)
    return read_payload(sock, header, body)


def split_digests(body: memoryview) -> list[bytes]:
    """The digests concatenated in `body`; ProtocolError if it is no such thing."""
    if len(body) % DIGEST_BYTES:
        raise ProtocolError(ErrorCode.BAD_REQUEST, "a list of digests has a partial digest")
    raw = bytes(body)
    return [raw[at : at + DIGEST_BYTES] for at in range(0, len(raw), DIGEST_BYTES)]


def pair(digests: Sequence[bytes], answers: Sequence[Answer]) -> list[tuple[bytes, Answer]]:
    """Each digest with what was answered about it; ProtocolError if some are missing."""
    if len(digests) != len(answers):
        raise ProtocolError(
            ErrorCode.BAD_FRAME, f"{len(answers)} answers to {len(digests)} questions"
        )
    return list(zip(digests, answers, strict=True))


def pack_table(chunks: Sequence[tuple[bytes, Buffer]]) -> bytes:
    """The chunk table for `chunks`, pairs of digest and data."""
    return b"".join(TABLE_RECORD.pack(digest, len(data)) for digest, data in chunks)


def unpack_chunks(body: memoryview, count: int) -> list[tuple[bytes, memoryview]]:
    """The pairs of digest and data in the body of a `put`, without copying.

    Raises ProtocolError if the table and the data do not agree.
    """
    table = count * TABLE_RECORD.size
    if not 0 < count <= MAX_CHUNKS_PER_REQUEST or table > len(body):
        raise ProtocolError(ErrorCode.BAD_REQUEST, f"bad number of chunks: {count}")
    chunks = []
    start = table
    for digest, length in TABLE_RECORD.iter_unpack(body[:table]):
        if not 0 < length <= MAX_CHUNK_BYTES:
            raise ProtocolError(ErrorCode.TOO_LARGE, f"bad chunk length: {length} bytes")
        chunks.append((digest, body[start : start + length]))
        start += length
    if start != len(body):
        raise ProtocolError(ErrorCode.BAD_REQUEST, "chunk table and data do not agree")
    return chunks


def _check_sizes(header: int, body: int, limits: Limits) -> None:
    if header > limits.header or body > limits.body:
        raise ProtocolError(
            ErrorCode.TOO_LARGE,
            f"frame of {header} + {body} bytes is over the limit "
            f"of {limits.header} + {limits.body}",
        )


def _read_exactly(sock: socket.socket, count: int) -> memoryview:
    view = memoryview(bytearray(count))
    done = 0
    while done < count:
        received = sock.recv_into(view[done:])
        if not received:
            raise ConnectionLost(f"connection closed after {done} of {count} bytes")
        done += received
    return view
