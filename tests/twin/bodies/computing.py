"""Hashing and compression of much data, in threads: values, errors and their words, whichever thread does the work."""

from __future__ import annotations

import binascii
import bz2
import gzip
import hashlib
import hmac
import io
import lzma
import signal
import threading
import traceback
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

DATA = bytes(range(256)) * 8192  # 2 MiB
LIMIT = 20.0  # seconds, for what does not happen


def beside_another(call: Callable[[], Any]) -> Any:
    """What `call` gives in a thread, beside one that waits."""
    over, results = threading.Event(), []
    waits = threading.Thread(target=over.wait)
    works = threading.Thread(target=lambda: results.append(call()))
    waits.start()
    works.start()
    works.join(LIMIT)
    over.set()
    waits.join(LIMIT)
    return results[0]


def short(value: Any) -> Any:
    return (len(value), zlib.crc32(value)) if isinstance(value, bytes) else value


def failing(call: Callable[[], Any]) -> Any:
    """The exception, with its words, its context, and the functions that its traceback shows."""
    try:
        return short(call())
    except Exception as error:
        frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        return type(error).__name__, str(error), frames, error.__context__


def case_digests(t: Any) -> None:
    for name in sorted(hashlib.algorithms_guaranteed - {"shake_128", "shake_256"}):
        made = getattr(hashlib, name)
        t.note(name, beside_another(lambda made=made: made(DATA).hexdigest()))  # type: ignore[misc]
        t.note(name, beside_another(lambda name=name: hashlib.new(name, DATA).hexdigest()))  # type: ignore[misc]
    t.note(beside_another(lambda: hashlib.shake_128(DATA).hexdigest(8)))
    t.note(beside_another(lambda: hashlib.sha256(memoryview(DATA)[1:], usedforsecurity=False).hexdigest()))
    t.note(beside_another(lambda: hashlib.sha256(bytearray(DATA)).hexdigest()))


def case_pieces_in_order(t: Any) -> None:
    """Updates of one object by one thread are made in their order."""

    def digest() -> str:
        one = hashlib.sha256()
        other = one.copy()
        for end in range(1, 5):
            one.update(DATA[:end])
            one.update(DATA)
            if end == 2:
                other = one.copy()
        return one.hexdigest() + other.hexdigest()

    t.note(beside_another(digest))


def case_one_object_of_several_threads(t: Any) -> None:
    one = hashlib.sha256()
    threads = [threading.Thread(target=one.update, args=(DATA,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    t.note(one.hexdigest() == hashlib.sha256(DATA * 6).hexdigest())


def case_macs_and_keys(t: Any) -> None:
    def mac() -> str:
        one = hmac.new(b"key", DATA, "sha256")
        one.update(DATA)
        return one.hexdigest()

    t.note(beside_another(mac))
    t.note(beside_another(lambda: hmac.digest(b"key", DATA, "sha256").hex()))
    t.note(beside_another(lambda: hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 20_000).hex()))
    t.note(beside_another(lambda: hashlib.pbkdf2_hmac("sha256", b"password", salt=b"salt", iterations=20_000, dklen=7).hex()))
    t.note(beside_another(lambda: hashlib.scrypt(b"password", salt=b"salt", n=1024, r=8, p=1).hex()))


def case_checksums(t: Any) -> None:
    for function in (zlib.crc32, zlib.adler32, binascii.crc32):
        t.note(beside_another(partial(function, DATA)), beside_another(partial(function, DATA, 77)))


def case_compression(t: Any) -> None:
    for module in (zlib, bz2, lzma, gzip):
        packed = beside_another(partial(module.compress, DATA))
        t.note(module.__name__, len(packed), beside_another(partial(module.decompress, packed)) == DATA)

    def piece_by_piece() -> list[Any]:
        packer, unpacker = zlib.compressobj(level=6, wbits=31), zlib.decompressobj(wbits=47)
        packed = packer.compress(DATA) + packer.compress(DATA) + packer.flush()
        first = unpacker.decompress(packed, 100_000)
        rest = unpacker.decompress(unpacker.unconsumed_tail) + unpacker.flush()
        return [len(packed), len(first), first + rest == DATA * 2, unpacker.eof]

    t.note(beside_another(piece_by_piece))

    def file() -> bool:
        buffer = io.BytesIO()
        with gzip.open(buffer, "wb") as packing:
            packing.write(DATA)
        buffer.seek(0)
        with gzip.open(buffer) as unpacking:
            return unpacking.read() == DATA

    t.note(beside_another(file))


def case_errors(t: Any) -> None:
    bad = b"x" * len(DATA)
    strided = memoryview(DATA)[::2]
    released = memoryview(DATA)
    released.release()
    for call in (
        partial(zlib.decompress, bad), partial(zlib.decompressobj().decompress, bad),
        partial(bz2.BZ2Decompressor().decompress, bad), partial(lzma.LZMADecompressor().decompress, bad),
        partial(hashlib.sha256, strided), partial(hashlib.sha256, released), partial(hashlib.sha256, "x" * len(DATA)),
        partial(hashlib.sha256().update, None), partial(hashlib.sha256().update, 10**7), partial(hashlib.sha256().update, 10**30),
        partial(zlib.compress, DATA, 77), partial(zlib.compress, DATA, level=77), partial(zlib.compress, DATA, nothing=1),
        partial(zlib.compress, data=DATA), partial(zlib.crc32), partial(zlib.crc32, DATA, "1"),
        partial(hashlib.new, "nothing", DATA), partial(hashlib.pbkdf2_hmac, "nothing", b"", b"", 10**6),
        partial(hashlib.pbkdf2_hmac, "sha256", b"", b"", -1), partial(hashlib.scrypt, b"", salt=b"", n=3, r=8, p=1),
        partial(hmac.digest, b"", DATA, "nothing"),
    ):  # fmt: skip
        t.note(beside_another(partial(failing, call)))


def case_what_reads_a_buffer_holds_it(t: Any) -> None:
    """Nobody may resize it meanwhile; whether somebody tries is a matter of time."""
    data, codes = bytearray(DATA * 8), []

    def resize() -> None:
        for _ in range(1000):
            try:
                data.append(0)
                data.pop()
            except BufferError as error:
                codes.append(str(error))

    threads = [threading.Thread(target=partial(hashlib.sha256, data)), threading.Thread(target=resize)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    t.note(len(data), set(codes) <= {"Existing exports of data: object cannot be re-sized"})


def case_buffers_of_python(t: Any) -> None:
    class Asked:
        asked = 0

        def __buffer__(self, flags: int) -> memoryview:
            self.asked += 1
            return memoryview(DATA)

    one = Asked()  # it is one since 3.12
    t.note(beside_another(lambda: failing(lambda: hashlib.sha256(one).hexdigest())), one.asked)  # type: ignore[arg-type]


def case_handlers(t: Any) -> None:
    """A handler is called when the call has ended."""
    came = []
    signal.signal(signal.SIGALRM, lambda *_: came.append("handler"))
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 200_000)
    came.append("over")
    t.note(came)

    def fail(*_: object) -> None:
        raise LookupError("from the handler")

    signal.signal(signal.SIGALRM, fail)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    try:
        hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 200_000)
    except LookupError as error:
        t.error("handler", error)
    over.set()
    thread.join(LIMIT)
