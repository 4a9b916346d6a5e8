"""Descriptors that make one wait, through `os`: pipes, FIFOs, sockets, terminals, eventfd, and what is no descriptor."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import tempfile
import threading
import tty
from collections.abc import Callable, Iterator
from typing import Any

BIG = 1 << 20  # far more than a pipe holds
readinto: Any = getattr(os, "readinto", None) or (lambda fd, buffer: os.readv(fd, [buffer]))  # since 3.14


@contextlib.contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe whose ends are closed afterwards, unless the case did."""
    reader, writer = os.pipe()
    try:
        yield reader, writer
    finally:
        for fd in (reader, writer):
            with contextlib.suppress(OSError):
                os.close(fd)


def started(function: Callable[..., object], *args: Any) -> threading.Thread:
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


def drained(fd: int) -> bytes:
    """All that comes until the end."""
    parts = []
    while part := os.read(fd, 65536):
        parts.append(part)
    return b"".join(parts)


def case_read_waits(t: Any) -> None:
    with pipe() as (reader, writer):
        got: list[bytes] = []
        thread = started(lambda: got.append(os.read(reader, 100)))
        t.note(os.write(writer, b"hello"))
        thread.join()
        t.note(got)
        os.close(writer)
        t.outcome("at the end", os.read, reader, 100)


def case_read_arguments(t: Any) -> None:
    with pipe() as (reader, writer):
        t.outcome("length 0 of an empty pipe", os.read, reader, 0)
        t.outcome("negative length", os.read, reader, -1)
        t.outcome("no length", os.read, reader)
        t.outcome("a float", os.read, reader, 1.5)
        t.outcome("a string", os.read, reader, "1")
        t.outcome("a huge length", os.read, reader, 1 << 70)
        t.outcome("by keyword", os.read, fd=reader, length=1)
        t.outcome("no descriptor", os.read, "x", 1)
        t.outcome("None", os.read, None, 1)
        t.outcome("minus one", os.read, -1, 1)
        t.outcome("huge", os.read, 1 << 40, 1)
        t.outcome("float descriptor", os.read, 1.0, 1)
        t.outcome("of the writing end", os.read, writer, 1)
        t.outcome("too many", os.read, reader, 1, 2)

        class Index:
            def __index__(self) -> int:
                return 3

        os.write(writer, b"abcdef")
        t.outcome("by __index__", os.read, reader, Index())
        t.outcome("True", os.read, reader, True)
    t.outcome("closed", os.read, reader, 1)
    t.outcome("directory", os.read, os.open("/", os.O_RDONLY), 1)


def case_write_arguments(t: Any) -> None:
    with pipe() as (reader, writer):
        t.outcome("str", os.write, writer, "text")
        t.outcome("None", os.write, writer, None)
        t.outcome("int", os.write, writer, 3)
        t.outcome("nothing", os.write, writer, b"")
        t.outcome("bytearray", os.write, writer, bytearray(b"ab"))
        t.outcome("memoryview", os.write, writer, memoryview(b"abcd")[::1])
        t.outcome("not contiguous", os.write, writer, memoryview(b"abcd")[::2])
        import array

        t.outcome("array", os.write, writer, array.array("i", [1, 2]))
        t.outcome("of the reading end", os.write, reader, b"x")
        t.outcome("no descriptor", os.write, "x", b"x")
        t.outcome("minus one", os.write, -1, b"x")
        t.outcome("huge", os.write, 1 << 40, b"x")
        t.outcome("by keyword", os.write, fd=writer, data=b"x")
        t.outcome("no data", os.write, writer)
    t.outcome("closed", os.write, writer, b"x")
    t.outcome("closed, str", os.write, writer, "x")
    t.outcome("closed, big", os.write, writer, b"x" * 10000)


def case_arguments_before_waiting(t: Any) -> None:
    """What is wrong with the arguments is told even where the descriptor would make one wait."""
    with pipe() as (reader, writer):
        t.outcome("readv, no buffers", os.readv, reader, [])
        t.outcome("readv, bytes", os.readv, reader, [b"read-only"])
        t.outcome("readv, int", os.readv, reader, 3)
        t.outcome("readv, of ints", os.readv, reader, [3])
        t.outcome("readv, empty buffer", os.readv, reader, [bytearray()])
        t.outcome("readinto, bytes", readinto, reader, b"read-only")
        t.outcome("readinto, int", readinto, reader, 3)
        t.outcome("readinto, empty buffer", readinto, reader, bytearray())
        t.outcome("readinto, in steps", readinto, reader, memoryview(bytearray(4))[::2])
        t.outcome("readinto, of a float", readinto, 1.5, bytearray(1))
        t.outcome("readinto, of a bad descriptor", readinto, -1, bytearray(1))
        t.outcome("preadv, in steps", os.preadv, reader, [memoryview(bytearray(4))[::2]], -1)
        raw = open(reader, "rb", 0, closefd=False)
        for buffer in (b"read-only", 3, None, bytearray(), memoryview(bytearray(4))[::2], memoryview(b"")):
            t.outcome("raw file, readinto", raw.readinto, buffer)
        raw.close()
        t.outcome("of a closed raw file, readinto", raw.readinto, bytearray(1))
        os.set_blocking(writer, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b"x" * 65536)
        os.set_blocking(writer, True)
        t.outcome("write str to a full pipe", os.write, writer, "x")
        t.outcome("write nothing to a full pipe", os.write, writer, b"")
        t.outcome("writev int to a full pipe", os.writev, writer, 3)
        t.outcome("writev of str", os.writev, writer, ["x"])
        t.outcome("writev of nothing", os.writev, writer, [])
        t.outcome("writev of an empty", os.writev, writer, [b""])


def case_write_big(t: Any) -> None:
    for data in (b"x" * BIG, bytearray(b"y" * BIG), memoryview(b"z" * BIG)):
        with pipe() as (reader, writer):
            got: list[int] = []
            thread = started(lambda reader=reader, got=got: got.append(len(drained(reader))))
            t.note(type(data).__name__, os.write(writer, data))
            os.close(writer)
            thread.join()
            t.note(got)


def case_writev_big(t: Any) -> None:
    with pipe() as (reader, writer):
        got: list[bytes] = []
        thread = started(lambda: got.append(drained(reader)))
        t.note(os.writev(writer, [b"a" * 100, bytearray(b"b" * 100000), memoryview(b"c" * 200000)]))
        t.note(os.writev(writer, (part for part in (b"tuple", b"or")) and (b"tuple", b"or")))
        t.outcome("a generator", os.writev, writer, (part for part in (b"1", b"2")))
        t.outcome("a set", os.writev, writer, {b"1"})
        os.close(writer)
        thread.join()
        t.note(got[0] == b"a" * 100 + b"b" * 100000 + b"c" * 200000 + b"tupleor")


def case_readv(t: Any) -> None:
    with pipe() as (reader, writer):
        one, two = bytearray(3), bytearray(10)
        thread = started(os.write, writer, b"abcdefg")
        t.note(os.readv(reader, [one, two]), one, two)
        thread.join()
        thread = started(os.write, writer, b"abcdefg")
        t.note(readinto(reader, one), one, readinto(reader, memoryview(two)[2:]), two)
        thread.join()
        t.outcome("a generator", os.readv, reader, (part for part in [bytearray(2)]))
        t.outcome("preadv", os.preadv, reader, [bytearray(2)], 0)
        t.outcome("pwritev", os.pwritev, writer, [b"x"], 0)
        t.outcome("pread", os.pread, reader, 2, 0)
        t.outcome("pwrite", os.pwrite, writer, b"x", 0)
        t.outcome("lseek", os.lseek, reader, 0, 0)


def case_several_readers(t: Any) -> None:
    with pipe() as (reader, writer):
        got: list[bytes] = []
        threads = [started(lambda: got.append(os.read(reader, 1))) for _ in range(10)]
        for n in range(10):
            os.write(writer, b"%d" % n)
        for thread in threads:
            thread.join()
        t.note(sorted(got))


def case_several_writers(t: Any) -> None:
    """Up to PIPE_BUF bytes, a write is not torn."""
    with pipe() as (reader, writer):

        def write(letter: bytes) -> None:
            for _ in range(50):
                os.write(writer, letter * 4096)

        threads = [started(write, letter) for letter in (b"a", b"b", b"c")]
        data = b""
        while len(data) < 3 * 50 * 4096:
            data += os.read(reader, 1 << 16)
        for thread in threads:
            thread.join()
        t.note(all(len(set(data[at : at + 4096])) == 1 for at in range(0, len(data), 4096)))


def case_broken_pipe(t: Any) -> None:
    with pipe() as (reader, writer):
        os.close(reader)
        t.outcome("small", os.write, writer, b"x")
        t.outcome("big", os.write, writer, b"x" * BIG)
        t.outcome("writev", os.writev, writer, [b"x", b"y"])
        t.outcome("writev, big", os.writev, writer, [b"x" * BIG, b"y"])
    with pipe() as (reader, writer):
        threading.Timer(0.05, os.close, (reader,)).start()
        t.note("reader goes away meanwhile", 0 < os.write(writer, b"x" * BIG) < BIG)
    with pipe() as (reader, writer):
        got: list[bytes] = []
        thread = started(lambda: got.append(os.read(reader, 10)))
        os.close(writer)
        thread.join()
        t.note("writer goes away meanwhile", got)


def case_non_blocking(t: Any) -> None:
    with pipe() as (reader, writer):
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        t.outcome("read", os.read, reader, 1)
        t.outcome("readv", os.readv, reader, [bytearray(1)])
        t.outcome("readinto", readinto, reader, bytearray(1))
        t.note("write", 0 < os.write(writer, b"x" * BIG) < BIG)
        t.outcome("write to a full one", os.write, writer, b"x" * 8192)
        t.outcome("writev to a full one", os.writev, writer, [b"x" * 8192])
        t.note(os.get_blocking(reader), os.get_blocking(writer))


def case_blocking_stays(t: Any) -> None:
    with pipe() as (reader, writer):
        thread = started(os.read, reader, 1)
        t.note(os.get_blocking(reader), os.get_blocking(writer))
        os.write(writer, b"x")
        thread.join()
        thread = started(os.write, writer, b"x" * (BIG // 4096 * 4096 + 1))
        while len(os.read(reader, 4096)) == 4096:
            blocking = os.get_blocking(writer)
            if not thread.is_alive():
                break
        t.note(blocking)


def case_fifo(t: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "fifo")
        os.mkfifo(path)
        got: list[bytes] = []

        def read(flags: int = os.O_RDONLY, **kwargs: Any) -> None:
            fd = os.open(path if not kwargs else "fifo", flags, **kwargs)
            got.append(drained(fd))
            os.close(fd)

        for name in (path, os.fsencode(path)):
            thread = started(read)
            fd = os.open(name, os.O_WRONLY)
            t.note(os.get_blocking(fd), os.get_inheritable(fd))
            os.write(fd, b"through a FIFO")
            os.close(fd)
            thread.join()
        t.note(got)

        def write() -> None:
            fd = os.open(path, os.O_WRONLY)
            os.write(fd, b"other way round")
            os.close(fd)

        thread = started(write)
        fd = os.open(path, flags=os.O_RDONLY, mode=0o600)
        t.note(os.read(fd, 100))
        os.close(fd)
        thread.join()
        at = os.open(folder, os.O_RDONLY)
        thread = started(lambda: read(dir_fd=at))
        fd = os.open("fifo", os.O_WRONLY, dir_fd=at)
        os.write(fd, b"relative")
        os.close(fd)
        thread.join()
        t.note(got[-1])
        t.outcome("nobody reads", os.open, path, os.O_WRONLY | os.O_NONBLOCK)
        fd = os.open(path, os.O_RDWR)
        t.note(os.write(fd, b"both"), os.read(fd, 10))
        os.close(fd)
        t.outcome("missing", os.open, path + "x", os.O_RDONLY)
        t.outcome("no flags", os.open, path)
        t.outcome("bad flags", os.open, path, "r")
        t.outcome("bad path", os.open, 3.5, os.O_RDONLY)
        t.outcome("null byte", os.open, "a\0b", os.O_RDONLY)
        t.outcome("exists", os.open, path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)


def case_close(t: Any) -> None:
    t.outcome("not open", os.close, 9999)
    t.outcome("minus one", os.close, -1)
    t.outcome("str", os.close, "x")
    t.outcome("nothing", os.close)
    t.outcome("closerange of nothing", os.closerange, 5000, 5010)
    t.outcome("closerange, one argument", os.closerange, 1)
    t.outcome("dup2 of a bad one", os.dup2, 9999, 9998)
    t.outcome("dup2 onto a bad one", os.dup2, 0, -1)
    with pipe() as (reader, writer):
        other = os.dup(reader)
        t.note(os.dup2(writer, other) == other, os.get_inheritable(other))
        t.note(os.dup2(fd=writer, fd2=other, inheritable=False) == other, os.get_inheritable(other))
        os.write(other, b"through the copy")
        t.note(os.read(reader, 100))
        os.close(fd=other)
        os.dup2(reader, reader)
        t.note(os.get_inheritable(reader))
        os.closerange(reader, writer + 1)
        t.outcome("closed by range", os.read, reader, 1)


def case_number_comes_again(t: Any) -> None:
    """A descriptor that was waited for is closed, and its number comes again as another pipe."""
    for round in range(5):
        reader, writer = os.pipe()
        got: list[bytes] = []
        thread = started(lambda reader=reader, got=got: got.append(os.read(reader, 10)))
        os.write(writer, b"%d" % round)
        thread.join()
        t.note(got)
        if round % 2:
            os.close(reader)
            os.close(writer)
        else:
            os.fdopen(reader, "rb").close()
            os.closerange(writer, writer + 1)


def case_dup2_over_a_waited_one(t: Any) -> None:
    with pipe() as (reader, writer), pipe() as (other, other_writer):
        thread = started(os.read, reader, 1)
        os.write(writer, b"x")
        thread.join()
        os.dup2(other, reader)
        os.write(other_writer, b"new")
        t.note(os.read(reader, 10))


def case_eventfd(t: Any) -> None:
    fd = os.eventfd(0)
    got: list[int] = []
    thread = started(lambda: got.append(os.eventfd_read(fd)))
    t.outcome("write", os.eventfd_write, fd, 3)
    thread.join()
    t.note(got)
    os.eventfd_write(fd=fd, value=5)
    t.note(os.eventfd_read(fd=fd))
    t.outcome("bad value", os.eventfd_write, fd, -1)
    t.outcome("bad value", os.eventfd_write, fd, "x")
    t.outcome("no value", os.eventfd_write, fd)
    os.eventfd_write(fd, 2**64 - 2)  # full
    thread = started(os.eventfd_write, fd, 7)
    t.note(os.eventfd_read(fd) == 2**64 - 2)
    thread.join()
    t.note(os.eventfd_read(fd))
    os.set_blocking(fd, False)
    t.outcome("empty", os.eventfd_read, fd)
    os.close(fd)
    t.outcome("closed", os.eventfd_read, fd)
    semaphore = os.eventfd(2, os.EFD_SEMAPHORE)
    t.note(os.eventfd_read(semaphore), os.eventfd_read(semaphore))
    os.close(semaphore)


def case_sendfile(t: Any) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789" * 50000)
        file.flush()
        one, two = socket.socketpair()
        got: list[bytes] = []
        thread = started(lambda: got.append(b"".join(iter(lambda: two.recv(65536), b""))))
        at = 0
        while sent := os.sendfile(one.fileno(), file.fileno(), at, 1 << 20):
            at += sent
        t.note(at)
        t.outcome("by keyword", os.sendfile, out_fd=one.fileno(), in_fd=file.fileno(), offset=3, count=4)
        t.outcome("offset None", os.sendfile, one.fileno(), file.fileno(), None, 4)
        t.outcome("count 0", os.sendfile, one.fileno(), file.fileno(), 0, 0)
        t.outcome("bad in", os.sendfile, one.fileno(), 9999, 0, 4)
        t.outcome("bad out", os.sendfile, 9999, file.fileno(), 0, 4)
        t.outcome("bad offset", os.sendfile, one.fileno(), file.fileno(), "x", 4)
        t.outcome("no count", os.sendfile, one.fileno(), file.fileno(), 0)
        one.close()
        thread.join()
        t.note(len(got[0]))
        two.close()


def case_splice(t: Any) -> None:
    with pipe() as (reader, writer), pipe() as (reader2, writer2):
        thread = started(os.write, writer, b"spliced")
        t.outcome("splice", os.splice, reader, writer2, 100)
        thread.join()
        t.note(os.read(reader2, 100))
        t.outcome("negative", os.splice, reader, writer2, -1)
        t.outcome("bad", os.splice, 9999, writer2, 10)
        t.outcome("with offsets", os.splice, reader, writer2, 10, 5)
        t.outcome("count 0", os.splice, reader, writer2, 0)
        t.outcome("not blocking", os.splice, reader, writer2, 10, flags=2)
        os.close(writer)
        t.outcome("at the end", os.splice, src=reader, dst=writer2, count=10)
    with pipe() as (reader, writer), tempfile.TemporaryFile() as file:
        file.write(b"from a file")
        file.flush()
        t.outcome("from a file", os.splice, file.fileno(), writer, 100, offset_src=5)
        t.note(os.read(reader, 100))
        os.write(writer, b"into a file")
        t.outcome("into a file", os.splice, reader, file.fileno(), 100, None, 0)
        t.note(os.pread(file.fileno(), 100, 0))


def case_sockets_by_descriptor(t: Any) -> None:
    one, two = socket.socketpair()
    got: list[bytes] = []
    thread = started(lambda: got.append(os.read(two.fileno(), 100)))
    os.write(one.fileno(), b"socket")
    thread.join()
    t.note(got)
    thread = started(lambda: got.append(drained(two.fileno())))
    t.note(os.write(one.fileno(), b"x" * BIG))
    one.close()
    thread.join()
    t.note(len(got[-1]))
    two.close()


def case_terminals(t: Any) -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    t.note(os.isatty(slave))
    got: list[bytes] = []
    thread = started(lambda: got.append(os.read(slave, 10)))
    os.write(master, b"typed")
    thread.join()
    t.note(got)
    total: list[int] = []

    def count() -> None:
        size = 0
        while size < 20000:
            size += len(os.read(master, 4096))
        total.append(size)

    thread = started(count)
    t.note(os.write(slave, b"y" * 20000))
    thread.join()
    t.note(total)
    os.close(slave)
    t.outcome("after the other end's close", os.read, master, 10)
    os.close(master)


def case_regular_files(t: Any) -> None:
    with tempfile.NamedTemporaryFile() as file:
        fd = os.open(file.name, os.O_RDWR)
        t.note(os.write(fd, b"a" * BIG), os.writev(fd, [b"b" * 10000, b"c"]), os.lseek(fd, 0, 0))
        t.note(len(os.read(fd, 2 * BIG)), os.read(fd, 1))
        os.lseek(fd, 5, 0)
        t.note(os.readv(fd, [bytearray(3), bytearray(3)]), os.lseek(fd, 0, os.SEEK_CUR))
        os.close(fd)
        fd = os.open(file.name, os.O_RDONLY)
        t.outcome("write to a read-only one", os.write, fd, b"x")
        t.outcome("big write to a read-only one", os.write, fd, b"x" * 100000)
        os.close(fd)
    with open("/dev/full", "wb", buffering=0) as full:
        t.outcome("full", os.write, full.fileno(), b"x" * 10000)
    with open("/dev/zero", "rb", buffering=0) as zero:
        t.outcome("zero", os.read, zero.fileno(), 4)


def case_signal_during_a_write(t: Any) -> None:
    """A handler that raises ends a write that waits; one that returns does not."""
    seen: list[int] = []
    with pipe() as (reader, writer):
        old = signal.signal(signal.SIGUSR1, lambda signum, frame: seen.append(signum))
        try:
            main = threading.get_ident()

            def signal_then_read() -> None:
                os.read(reader, 1)
                signal.pthread_kill(main, signal.SIGUSR1)
                got = 1
                while got < BIG:
                    got += len(os.read(reader, 65536))

            thread = started(signal_then_read)
            done = 0
            while done < BIG:
                done += os.write(writer, b"x" * (BIG - done))
            thread.join()
            t.note(done, seen)
        finally:
            signal.signal(signal.SIGUSR1, old)


def case_errno_names(t: Any) -> None:
    for function, args in ((os.read, (9999, 1)), (os.write, (9999, b"")), (os.close, (9999,)), (os.dup2, (9999, 3))):
        try:
            function(*args)
        except OSError as error:
            t.note(function.__name__, errno.errorcode[error.errno or 0], error.filename, repr(error))


def case_reading_into_a_buffer(t: Any) -> None:
    readinto = getattr(os, "readinto", None)
    if readinto is None:
        t.note("not in this Python")
        return
    reader, writer = os.pipe()
    buffer = bytearray(4)
    timer = threading.Timer(0.05, os.write, (writer, b"late data"))
    timer.start()
    for _ in range(2):
        t.outcome("waits", readinto, reader, buffer)
        t.note(bytes(buffer))
    timer.join()
    for arguments in (
        (), (reader,), (reader, b"abc"), (-1, buffer), ("x", buffer), (reader, buffer, 1), (reader, None),
        (reader, memoryview(bytearray(4))[::2]), (reader, bytearray()),
    ):  # fmt: skip
        t.outcome("arguments", readinto, *arguments)
    os.close(writer)
    t.note(readinto(reader, buffer), readinto(reader, buffer))
    t.outcome("closed", readinto, writer, buffer)
    os.close(reader)
