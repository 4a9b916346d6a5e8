"""Buffered files over raw files that are written in Python, and may wait: threads that share one wait for each other."""

from __future__ import annotations

import bz2
import gzip
import http.client
import io
import lzma
import os
import pickle
import socket
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable
from typing import Any

LIMIT = 8.0  # seconds, for what does not happen


def started(function: Callable[..., object], *args: Any) -> threading.Thread:
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


def together(t: Any, *functions: Callable[[], object]) -> list[Any]:
    """What each gives, all called at once in threads; exceptions are noted."""
    results: list[Any] = []

    def call(function: Callable[[], object]) -> None:
        try:
            results.append(function())
        except BaseException as error:
            t.error("in a thread", error)

    threads = [started(call, function) for function in functions]
    for thread in threads:
        thread.join(LIMIT)
    t.note([thread.is_alive() for thread in threads])
    return results


class Raw(io.RawIOBase):
    """A raw file whose reads and writes take time, and that tells if two are in it."""

    def __init__(self, data: bytes = b"", piece: int = 7, seekable: bool = False) -> None:
        self.data = bytearray(data)
        self.place = 0
        self.piece = piece
        self.most = self.within = 0
        self.seeks = seekable

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self.seeks

    def _wait(self) -> None:
        self.within += 1
        self.most = max(self.most, self.within)
        time.sleep(0.002)
        self.within -= 1

    def readinto(self, buffer: Any) -> int:
        self._wait()
        part = self.data[self.place : self.place + min(self.piece, len(buffer))]
        self.place += len(part)
        buffer[: len(part)] = part
        return len(part)

    def write(self, data: Any) -> int:
        part = bytes(data)[: self.piece]
        self._wait()
        self.data[self.place : self.place + len(part)] = part
        self.place += len(part)
        return len(part)

    def seek(self, place: int, whence: int = 0) -> int:
        self._wait()
        self.place = place + (0, self.place, len(self.data))[whence]
        return self.place

    def tell(self) -> int:
        return self.place

    def truncate(self, size: int | None = None) -> int:
        self._wait()
        size = self.place if size is None else size
        del self.data[size:]
        return size


class Reader(io.BufferedReader):
    """A subclass, some of whose methods are its own."""

    def readline(self, size: int | None = -1, /) -> bytes:
        return super().readline(size)


LINES = b"".join(b"line %d\n" % n for n in range(40))
READERS = {  # made before a late patch
    "BufferedReader": io.BufferedReader(Raw(LINES), 16),
    "a subclass": Reader(Raw(LINES), 16),
    "BufferedRandom": io.BufferedRandom(Raw(LINES, seekable=True), 16),
    "BufferedRWPair": io.BufferedRWPair(Raw(LINES), Raw(), 16),
}
WRITERS = {
    "BufferedWriter": io.BufferedWriter(Raw(), 16),
    "BufferedRandom": io.BufferedRandom(Raw(seekable=True), 16),
}


def _bytes_of(t: Any, label: str, file: Any) -> None:
    """Threads read all there is, every byte is had once."""

    def read() -> list[bytes]:
        return list(iter(lambda: file.read(7), b""))

    got = [piece for part in together(t, *[read] * 4) for piece in part]
    t.note(label, sorted(b"".join(got)) == sorted(LINES), file.read(1))


def _line_by_line(t: Any, label: str, file: Any) -> None:
    """Natively a `readline` that has waited goes by what was there before: lines are torn, or come twice; no error comes."""
    together(t, *[lambda: list(iter(file.readline, b""))] * 4)
    t.note(label, file.read(1))


def case_reads_by_several(t: Any) -> None:
    for label, file in READERS.items():
        _bytes_of(t, f"{label}, before", file)
    for label, file in (
        ("reader", io.BufferedReader(Raw(LINES), 16)),
        ("subclass", Reader(Raw(LINES), 16)),
        ("random", io.BufferedRandom(Raw(LINES, seekable=True), 16)),
        ("pair", io.BufferedRWPair(Raw(LINES), Raw(), 16)),
    ):
        _bytes_of(t, label, file)
        if not isinstance(file, io.BufferedRWPair):
            _line_by_line(t, label, type(file)(Raw(LINES, seekable=True), 16))
            t.note(file.raw.most, vars(file), type(file).__name__, type(file) in (io.BufferedReader, io.BufferedRandom, Reader))


def case_every_way_to_read(t: Any) -> None:
    for label, read in (
        ("read n", lambda file: list(iter(lambda: file.read(5), b""))),
        ("read", lambda file: [file.read()]),
        ("read1", lambda file: list(iter(lambda: file.read1(5), b""))),
        ("readinto", lambda file: list(iter(lambda: _into(file.readinto), b""))),
        ("readinto1", lambda file: list(iter(lambda: _into(file.readinto1), b""))),
        ("peek and read", lambda file: [file.peek(1) and b"", *iter(lambda: file.read(3), b"")]),
    ):
        file = io.BufferedReader(Raw(LINES), 16)
        got = together(t, *[lambda read=read, file=file: read(file)] * 3)  # type: ignore[misc]
        t.note(label, sum(len(piece) for pieces in got for piece in pieces), len(LINES), file.raw.most)
    for read in (list, lambda file: file.readlines()):  # type: ignore[assignment]
        file = io.BufferedReader(Raw(LINES), 16)
        together(t, *[lambda read=read, file=file: read(file)] * 3)  # type: ignore[misc]


def _into(method: Callable[[bytearray], int]) -> bytes:
    buffer = bytearray(5)
    return bytes(buffer[: method(buffer)])


def _written(t: Any, label: str, file: Any) -> None:
    def write(n: int) -> None:
        for i in range(10):
            file.write(b"%d:%d;" % (n, i))
            if i % 3 == 0:
                file.flush()

    together(t, *[lambda n=n: write(n) for n in range(4)])  # type: ignore[misc]
    file.flush()
    parts = bytes(file.raw.data).split(b";")
    t.note(label, sorted(parts) == sorted([*(b"%d:%d" % (n, i) for n in range(4) for i in range(10)), b""]), file.raw.most)


def case_writes_by_several(t: Any) -> None:
    for label, file in WRITERS.items():
        _written(t, f"{label}, before", file)
    _written(t, "writer", io.BufferedWriter(Raw(), 16))
    _written(t, "random", io.BufferedRandom(Raw(seekable=True), 16))


def case_methods_that_are_kept(t: Any) -> None:
    """Bound, of the class, and by those who call by name."""
    file = io.BufferedWriter(Raw(), 4)
    write, flush = file.write, io.BufferedWriter.flush

    def use(n: int) -> None:
        for _ in range(5):
            write(b"%d," % n)
            flush(file)

    together(t, *[lambda n=n: use(n) for n in range(3)])  # type: ignore[misc]
    t.note(sorted(bytes(file.raw.data).split(b",")), file.raw.most)
    objects = io.BufferedReader(Raw(b"".join(pickle.dumps([n] * 5) for n in range(6))), 16)
    together(t, lambda: t.note([pickle.load(objects), pickle.load(objects)]))
    t.note(write.__self__ is file, write == file.write, callable(flush), flush.__name__, flush.__qualname__)


def case_places(t: Any) -> None:
    """Seeking and truncating wait for who reads or writes."""
    file = io.BufferedRandom(Raw(LINES, seekable=True), 8)

    def jump() -> None:
        for n in range(8):
            file.seek(n)
            file.tell()

    def read() -> None:
        for _ in range(8):
            file.read(3)

    def write() -> None:
        for _ in range(4):
            file.write(b"abc")
            file.flush()

    def shorten() -> None:
        for n in range(4):
            file.truncate(200 - n)

    together(t, jump, read, write, shorten)
    t.note(file.raw.most, len(file.raw.data) >= 197)


def case_the_same_thread_again(t: Any) -> None:
    """What the raw file calls may not come back, whatever the method."""
    calls = (("read", (3,)), ("read1", (3,)), ("readline", ()), ("peek", ()), ("readinto", (bytearray(3),)), ("seek", (0,)))
    for name, args in calls:
        file: Any = None

        class Back(Raw):
            def readinto(self, buffer: Any) -> int:
                t.outcome("within", getattr(file, name), *args)  # noqa: B023 - called now
                return 0

            def seek(self, place: int, whence: int = 0) -> int:
                t.outcome("within seek", getattr(file, name), *args) if file is not None else None  # noqa: B023
                return 0

        file = io.BufferedReader(Back(LINES, seekable=name == "seek"))
        t.outcome(name, getattr(file, name), *args)
        results = together(t, lambda: getattr(file, name)(*args))  # noqa: B023
        t.note(name, results)


def case_a_write_that_comes_back(t: Any) -> None:
    class Back(Raw):
        again: Any = None

        def write(self, data: Any) -> int:
            if self.again is not None:
                for label, call in (("write", lambda: self.again.write(b"x")), ("flush", self.again.flush)):
                    t.outcome(label, call)
            return len(data)

    raw = Back()
    file = io.BufferedWriter(raw, 4)
    raw.again = file
    t.outcome("write", file.write, b"a longer one")
    t.outcome("flush", file.flush)
    raw.again = None
    t.outcome("flush", file.flush)
    t.outcome("close", file.close)


class Gated(Raw):
    """Whoever is in waits for the gate."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.gate, self.reached = threading.Event(), threading.Event()

    def _wait(self) -> None:
        self.reached.set()
        self.gate.wait(LIMIT)


def case_who_waits_goes_on(t: Any) -> None:
    """After an error in who was in, and after many have come."""

    class Failing(Gated):
        def write(self, data: Any) -> int:
            self._wait()
            self.data += data
            if b"bad" in bytes(data):
                raise OSError(5, "it broke")
            return len(data)

    raw = Failing()
    file = io.BufferedWriter(raw, 4)
    first = started(lambda: t.outcome("the first", file.write, b"bad one"))
    raw.reached.wait(LIMIT)
    others = [started(lambda n=n: results.append(_error_of(file.write, b"number %d" % n))) for n in range(5)]  # type: ignore[misc]
    results: list[Any] = []
    t.note(results)
    raw.gate.set()
    for thread in (first, *others):
        thread.join(LIMIT)
    t.note(first.is_alive(), sorted(map(str, results)))


def _error_of(function: Callable[..., Any], *args: Any) -> Any:
    try:
        return function(*args)
    except OSError as error:
        return error


def case_close_waits(t: Any) -> None:
    """Who closes waits for who is in; who comes after finds it closed."""
    for kind in (io.BufferedReader, io.BufferedWriter):
        raw = Gated(LINES)
        file: Any = kind(raw, 16)
        reading = kind is io.BufferedReader
        use = (lambda file=file: len(file.read(30))) if reading else (lambda file=file: file.write(b"x" * 30))  # type: ignore[misc]
        done: list[str] = []
        user = started(lambda use=use, done=done: (t.outcome("user", use), done.append("user")))  # type: ignore[misc]
        raw.reached.wait(LIMIT)
        closer = started(lambda file=file, done=done: (t.outcome("close", file.close), done.append("closer")))  # type: ignore[misc]
        closer.join(0.05)
        t.note(closer.is_alive(), file.closed)
        raw.gate.set()
        user.join(LIMIT)
        closer.join(LIMIT)
        t.note(done, file.closed, raw.closed)
        t.outcome("after", use)


def case_what_needs_no_turn(t: Any) -> None:
    """While one waits inside, what natively takes no lock goes through."""
    raw = Gated(LINES)
    file = io.BufferedReader(raw, 16)
    user = started(file.read, 30)
    raw.reached.wait(LIMIT)
    t.note(file.closed, file.readable(), file.seekable(), file.writable(), file.raw is raw, repr(file).partition(" at ")[0])
    t.outcome("fileno", file.fileno)
    t.outcome("tell", file.tell)
    raw.gate.set()
    user.join(LIMIT)


def case_wrong_calls(t: Any) -> None:
    reader, writer, random = io.BufferedReader(Raw(LINES)), io.BufferedWriter(Raw()), io.BufferedRandom(Raw(seekable=True))
    for file in (reader, writer, random):
        for name in ("read", "read1", "readinto", "readinto1", "readline", "peek", "write", "flush", "seek", "truncate", "close"):
            for args in (("x",), (None,), (1, 2, 3), (-5,), ([],)):
                if hasattr(file, name) and (name != "close" or len(args) > 1):
                    t.outcome(f"{type(file).__name__} {name} {args}", getattr(file, name), *args)
            t.outcome(name, lambda file=file, name=name: getattr(file, name)(colour=1))  # type: ignore[misc]
    for kind in (io.BufferedReader, io.BufferedWriter, io.BufferedRandom):
        made = kind.__new__(kind)
        for name in ("read", "write", "flush", "close", "seek", "readline"):
            t.outcome(f"not set up: {name}", lambda made=made, name=name: getattr(made, name)())  # type: ignore[misc]
        t.outcome("of another", lambda kind=kind: kind.close(3))  # type: ignore[misc]
    t.note(reader.detach() is not None)
    t.outcome("detached", reader.read)


# what the standard library makes of them


def case_one_gzip_file(t: Any) -> None:
    for opened, packed in ((gzip.open, gzip.compress(LINES)), (bz2.open, bz2.compress(LINES)), (lzma.open, lzma.compress(LINES))):
        source, sink = os.pipe()
        pipe = open(source, "rb")
        file = opened(pipe, "rb")

        def feed(sink: int = sink, packed: bytes = packed) -> None:
            for n in range(0, len(packed), 10):
                os.write(sink, packed[n : n + 10])
                time.sleep(0.001)
            os.close(sink)

        feeder = started(feed)
        got = together(t, *[lambda file=file: list(iter(lambda: file.read(9), b""))] * 3)  # type: ignore[misc]
        feeder.join(LIMIT)
        t.note(opened.__module__, sum(len(piece) for part in got for piece in part) == len(LINES))
        file.close()
        pipe.close()


def case_writing_one_gzip_file(t: Any) -> None:
    source, sink = os.pipe()
    packed: list[bytes] = []
    with open(source, "rb") as reading, open(sink, "wb") as pipe:
        reader = started(lambda: packed.append(reading.read()))
        lock = threading.Lock()
        with gzip.GzipFile(fileobj=pipe, mode="wb", mtime=0) as file:

            def write(n: int) -> None:
                for _ in range(20):
                    with lock:
                        file.write(b"%d\n" % n)

            together(t, *[lambda n=n: write(n) for n in range(3)])  # type: ignore[misc]
        pipe.close()
        reader.join(LIMIT)
    t.note(sorted(gzip.decompress(packed[0]).split()) == sorted(b"%d" % n for n in range(3) for _ in range(20)))


def _response() -> tuple[http.client.HTTPResponse, threading.Thread]:
    left, right = socket.socketpair()

    def serve() -> None:
        with right:
            right.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for n in range(0, len(LINES), 10):
                part = LINES[n : n + 10]
                right.sendall(b"%x\r\n%s\r\n" % (len(part), part))
                time.sleep(0.001)
            right.sendall(b"0\r\n\r\n")

    server = started(serve)
    response = http.client.HTTPResponse(left)
    response.begin()
    left.close()
    return response, server


def case_http_response(t: Any) -> None:
    for label, wrap, read in (
        ("all", io.BufferedReader, lambda file: [file.read()]),
        ("pieces", io.BufferedReader, lambda file: list(iter(lambda: file.read(3), b""))),
    ):
        response, server = _response()
        file = wrap(response)  # type: ignore[arg-type]
        got = together(t, *[lambda file=file, read=read: read(file)] * 3)  # type: ignore[misc]
        server.join(LIMIT)
        t.note(label, sum(len(piece) for part in got for piece in part) == len(LINES))
    response, server = _response()
    text = io.TextIOWrapper(io.BufferedReader(response), "ascii")  # type: ignore[arg-type]
    lock = threading.Lock()

    def one_by_one() -> list[str]:
        lines = []
        while True:
            with lock:
                line = text.readline()
            if not line:
                return lines
            lines.append(line)

    got = together(t, one_by_one, one_by_one)
    t.note(sorted(line for part in got for line in part) == sorted(LINES.decode().splitlines(True)))


def case_archives(t: Any) -> None:
    """Members of archives that are read from a file which waits."""
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w") as archive:
        info = tarfile.TarInfo("lines")
        info.size = len(LINES)
        archive.addfile(info, io.BytesIO(LINES))
    with tarfile.open(fileobj=io.BufferedReader(Raw(memory.getvalue(), 4000, True))) as archive:
        member = archive.extractfile("lines")
        assert member is not None
        t.note(type(member).__name__, isinstance(member, io.BufferedReader))
        got = together(t, *[lambda: list(iter(lambda: member.read(20), b""))] * 2)
        t.note(sum(len(piece) for part in got for piece in part))
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("lines", LINES)
    with zipfile.ZipFile(io.BufferedReader(Raw(memory.getvalue(), 4000, True))) as zipped:  # type: ignore[arg-type]
        got = together(t, *[lambda: zipped.read("lines") == LINES] * 3)
        t.note(got)
        with zipped.open("lines") as one:
            file = io.BufferedReader(one)  # type: ignore[arg-type]
            got = together(t, *[lambda: list(iter(lambda: file.read(9), b""))] * 3)
        t.note(sum(len(piece) for part in got for piece in part))


def case_dropped_while_full(t: Any) -> None:
    """What is written is flushed when the last reference goes, at once."""
    raw = Raw()
    file: Any = io.BufferedWriter(raw, 100)
    raw.close = lambda: None  # type: ignore[method-assign]
    file.write(b"kept")
    t.note(bytes(raw.data))
    file = None
    t.note(bytes(raw.data))


def case_a_native_file_is_at_once(t: Any) -> None:
    reader, writer = os.pipe()
    os.write(writer, LINES)
    os.close(writer)
    file = io.BufferedReader(io.FileIO(reader), 16)
    _bytes_of(t, "over a FileIO", file)
    _bytes_of(t, "over memory", io.BufferedReader(io.BytesIO(LINES), 16))  # type: ignore[arg-type]
    t.note(type(file.raw) is io.FileIO, type(file) is io.BufferedReader)
