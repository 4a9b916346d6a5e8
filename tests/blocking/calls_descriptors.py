"""Calls that make a thread wait for a descriptor: pipes, FIFOs, terminals, files over them.

Each is called in three threads at once as `call(after)`; `after(seconds, function)` runs `function` in another thread.
"""

# ruff: noqa: SIM115 - opening is what is looked at

from __future__ import annotations

import contextlib
import os
import select
import selectors
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

After = Callable[[float, Callable[[], object]], None]
PAUSE = 0.3  # seconds that each call takes
CALLS: dict[str, Callable[[After], object]] = {}


def blocks(name: str) -> Callable[[Callable[[After], object]], Callable[[After], object]]:
    """Enter a call under `name`."""

    def enter(call: Callable[[After], object]) -> Callable[[After], object]:
        assert name not in CALLS
        CALLS[name] = call
        return call

    return enter


@contextlib.contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    try:
        yield reader, writer
    finally:
        for fd in (reader, writer):
            with contextlib.suppress(OSError):
                os.close(fd)


def _reads(name: str, read: Callable[[int], object]) -> None:
    @blocks(name)
    def _(after: After) -> None:
        with pipe() as (reader, writer):
            after(PAUSE, lambda: os.write(writer, b"x\n"))
            read(reader)


def _polled(fd: int) -> object:
    waiting = select.poll()
    waiting.register(fd, select.POLLIN)
    return waiting.poll()


def _epolled(fd: int) -> object:
    with select.epoll() as waiting:
        waiting.register(fd, select.EPOLLIN)
        return waiting.poll()


def _selected(fd: int) -> object:
    with selectors.DefaultSelector() as waiting:
        waiting.register(fd, selectors.EVENT_READ)
        return waiting.select()


for _name, _read in {
    "os.read": lambda fd: os.read(fd, 1),
    "os.readv": lambda fd: os.readv(fd, [bytearray(1)]),
    **({"os.readinto": lambda fd: os.readinto(fd, bytearray(1))} if hasattr(os, "readinto") else {}),  # since 3.14
    "select.select": lambda fd: select.select([fd], [], []),
    "select.poll": _polled,
    "selectors.DefaultSelector": _selected,
    "open(fd).readline": lambda fd: open(fd, closefd=False).readline(),
    "open(fd, 'rb').read": lambda fd: open(fd, "rb", closefd=False).read(1),
    "open(fd, 'rb', 0).read": lambda fd: open(fd, "rb", 0, closefd=False).read(1),
    "open(fd, 'rb').readinto": lambda fd: open(fd, "rb", closefd=False).readinto(bytearray(1)),
    "open(fd, 'rb').peek": lambda fd: open(fd, "rb", closefd=False).peek(),
    "for line in open(fd)": lambda fd: next(iter(open(fd, closefd=False))),
    "os.fdopen": lambda fd: os.fdopen(os.dup(fd)).readline(),
}.items():
    _reads(_name, _read)

if hasattr(select, "epoll"):
    _reads("select.epoll", _epolled)


def _writes(name: str, write: Callable[[int], object]) -> None:
    @blocks(name)
    def _(after: After) -> None:
        with pipe() as (reader, writer):
            os.set_blocking(writer, False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(writer, b"x" * 4096)
            os.set_blocking(writer, True)
            after(PAUSE, lambda: os.read(reader, 1 << 20))
            write(writer)


for _name, _write in {
    "os.write": lambda fd: os.write(fd, b"x"),
    "os.write, large": lambda fd: os.write(fd, b"x" * 20000),
    "os.writev": lambda fd: os.writev(fd, [b"x"]),
    "open(fd, 'wb', 0).write": lambda fd: open(fd, "wb", 0, closefd=False).write(b"x"),
    "open(fd, 'w').flush": lambda fd: print("x", file=open(fd, "w", closefd=False), flush=True),
    "select.select, writing": lambda fd: select.select([], [fd], []),
}.items():
    _writes(_name, _write)


@blocks("os.splice")
def _(after: After) -> None:
    with pipe() as (reader, writer), pipe() as (_, into):
        after(PAUSE, lambda: os.write(writer, b"x"))
        os.splice(reader, into, 10)


@blocks("os.sendfile")
def _(after: After) -> None:
    with pipe() as (reader, writer), tempfile.TemporaryFile() as file:
        file.truncate(200000)
        sent = os.sendfile(writer, file.fileno(), 0, 200000)
        after(PAUSE, lambda: os.read(reader, 1 << 20))
        os.sendfile(writer, file.fileno(), sent, 1000)


@blocks("os.eventfd_read")
def _(after: After) -> None:
    fd = os.eventfd(0)
    after(PAUSE, lambda: os.eventfd_write(fd, 1))
    os.eventfd_read(fd)
    os.close(fd)


@blocks("os.eventfd_write")
def _(after: After) -> None:
    fd = os.eventfd(0)
    os.eventfd_write(fd, 2**64 - 2)
    after(PAUSE, lambda: os.eventfd_read(fd))
    os.eventfd_write(fd, 5)
    os.close(fd)


@blocks("a terminal")
def _(after: After) -> None:
    master, slave = os.openpty()
    after(PAUSE, lambda: os.write(master, b"x\n"))
    os.read(slave, 10)
    os.close(master)
    os.close(slave)


def _fifos(name: str, use: Callable[[str], object], other: str) -> None:
    @blocks(name)
    def _(after: After) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "fifo")
            os.mkfifo(path)
            done = threading.Event()

            def release() -> None:
                with open(path, other) as file:
                    if other == "w":
                        file.write("x\n")
                    else:
                        file.read()
                done.set()

            after(PAUSE, release)
            use(path)
            done.wait()


for _name, _use, _other in (
    ("os.open of a FIFO", lambda path: os.read(os.open(path, os.O_RDONLY), 10), "w"),
    ("os.open of a FIFO, writing", lambda path: os.close(os.open(path, os.O_WRONLY)), "r"),
    ("open of a FIFO", lambda path: open(path).read(), "w"),
    ("open of a FIFO, writing", lambda path: open(path, "wb").close(), "r"),
    ("Path.read_text of a FIFO", lambda path: Path(path).read_text(), "w"),
):
    _fifos(_name, _use, _other)
