"""Files over what can make one wait: pipes, FIFOs, terminals, sockets, standard input; and plain ones beside them."""



from __future__ import annotations

import builtins
import contextlib
import inspect
import io
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import tty
import warnings
from collections.abc import Callable
from typing import Any

from programs import launcher, said

BIG = 1 << 20


def started(function: Callable[..., object], *args: Any) -> threading.Thread:
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


def case_modes(t: Any) -> None:
    """What `open` makes of a pipe, and what it refuses."""
    for mode in ["r", "rb", "w", "wb", "a", "ab", "r+", "r+b", "w+b", "x", "xb", "rw", "rr", "b", "rU", "z", "rt", "rbt", "+"]:
        for buffering in (-1, 0, 1, 512):
            reader, writer = os.pipe()
            fd = reader if "r" in mode else writer
            label = f"{mode} {buffering}"
            try:
                with warnings.catch_warnings(record=True) as warned:
                    file = open(fd, mode, buffering)
            except (ValueError, OSError) as error:
                t.error(label, error)
            else:
                t.note(label, [str(one.message) for one in warned], type(file).__name__, type(file).__module__)
                t.note(file.mode, file.name == fd)
                t.note(file.readable(), file.writable(), file.seekable(), file.closed, getattr(file, "line_buffering", None))
                file.close()
            for fd in (reader, writer):
                with contextlib.suppress(OSError):
                    os.close(fd)


def case_open_arguments(t: Any) -> None:
    reader, writer = os.pipe()
    t.outcome("binary with encoding", open, reader, "rb", encoding="utf-8")
    t.outcome("binary with errors", open, reader, "rb", errors="strict")
    t.outcome("binary with newline", open, reader, "rb", newline="")
    t.outcome("bad newline", open, reader, newline="x", closefd=False)
    t.outcome("bad encoding", open, reader, encoding="nonsense", closefd=False)
    t.outcome("bad errors", open, reader, errors=3, closefd=False)
    t.outcome("encoding of bytes", open, reader, encoding=b"utf-8", closefd=False)
    t.outcome("mode of bytes", open, reader, b"r")
    t.outcome("mode None", open, reader, None)
    t.outcome("buffering", open, reader, "rb", "x")
    t.outcome("buffering -5", lambda: open(reader, "rb", -5, closefd=False).closed)
    t.outcome("no file", open)
    t.outcome("unknown", open, reader, colour=1)
    t.outcome("closed", open, 9999)
    t.outcome("negative", open, -1)
    t.outcome("huge", open, 1 << 40)
    t.outcome("float", open, 1.5)
    t.outcome("path and closefd", open, "/dev/null", closefd=False)
    t.outcome("missing", open, "/nonexistent")
    t.outcome("directory", open, "/tmp")
    folder = os.open("/", os.O_RDONLY)
    t.outcome("directory by number", lambda: _numbered(open, folder))
    t.outcome("the wrong end", lambda: open(writer, "rb", closefd=False).read(1))
    t.outcome("the wrong end", lambda: open(reader, "wb", 0, closefd=False).write(b"x"))
    t.note(open(reader, closefd=False).encoding, io.open is builtins.open, open.__name__)
    for fd in (reader, writer):
        with contextlib.suppress(OSError):
            os.close(fd)


def _numbered(function: Callable[..., object], fd: int) -> object:
    """A call whose error names the descriptor."""
    try:
        return function(fd)
    except OSError as error:
        return type(error).__name__, error.filename == fd
    finally:
        os.close(fd)


def case_repr(t: Any) -> None:
    for kind in ("rb", "r", "wb", "w"):
        for buffering in (-1, 0):
            if buffering == 0 and "b" not in kind:
                continue
            reader, writer = os.pipe()
            file = open(reader if "r" in kind else writer, kind, buffering)
            t.note(__import__("re").sub(r"\d+", "N", repr(file)), isinstance(file, io.IOBase), isinstance(file, io.RawIOBase))
            t.note(isinstance(file, (io.FileIO, io.BufferedReader, io.BufferedWriter, io.TextIOWrapper)), type(file).__qualname__)
            file.close()
            t.note(__import__("re").sub(r"\d+", "N", repr(file)))
            os.close(writer if "r" in kind else reader)


def case_read_in_all_ways(t: Any) -> None:
    for name, read in (
        ("read", lambda file: file.read()),
        ("read n", lambda file: [file.read(4), file.read(4), file.read(100), file.read(1)]),
        ("read1", lambda file: [file.read1(3), file.read1(), file.read()]),
        ("readline", lambda file: [file.readline(), file.readline(2), file.readline(), file.readline()]),
        ("readlines", lambda file: file.readlines()),
        ("readlines n", lambda file: [file.readlines(3), file.readlines()]),
        ("iteration", lambda file: list(file)),
        ("next", lambda file: [next(file), next(file, None), next(file, None)]),
        ("readinto", lambda file: [file.readinto(bytearray(5)), file.read()]),
        ("readinto1", lambda file: [file.readinto1(bytearray(5)) <= 5, len(file.read()) > 0]),
        ("peek", lambda file: [file.peek(1)[:1], file.read()]),
        ("raw", lambda file: file.raw.readall()),
        ("detach", lambda file: file.detach().readall()),
        ("raw read", lambda file: [file.raw.read(3), file.raw.readline(), file.raw.readlines()]),
        ("raw readinto", lambda file: [file.raw.readinto(bytearray(3)), file.raw.read(), file.raw.read(1), file.raw.read(0)]),
    ):
        reader, writer = os.pipe()

        def write(writer: int = writer) -> None:
            os.write(writer, b"one\ntwo\n")
            os.close(writer)

        file = open(reader, "rb")
        thread = started(write)
        thread.join()
        t.outcome(name, read, file)
        with contextlib.suppress(ValueError):
            file.close()


def case_read_text(t: Any) -> None:
    for newline in (None, "", "\n", "\r\n"):
        reader, writer = os.pipe()
        got: list[Any] = []

        def read(reader: int = reader, newline: Any = newline, got: list[Any] = got) -> None:
            with open(reader, encoding="utf-8", newline=newline) as file:
                got.append(file.readline())
                got.extend(file)

        thread = started(read)
        for part in ("grü", "ße\r\nnext\rlast\n".encode(), b"end"):
            os.write(writer, part.encode() if isinstance(part, str) else part)
        os.close(writer)
        thread.join()
        t.note(newline, got)


def case_write_in_all_ways(t: Any) -> None:
    for mode, buffering, write in (
        ("wb", 0, lambda file: [file.write(b"one"), file.writelines([b"two", b"three"])]),
        ("wb", -1, lambda file: [file.write(b"one"), file.flush(), file.write(bytearray(b"x" * 20000))]),
        ("wb", 16, lambda file: [file.write(b"y" * 100), file.writelines([b"two", b"three"])]),
        ("w", -1, lambda file: [file.write("grüße"), file.flush(), file.writelines(["a", "b"])]),
        ("w", 1, lambda file: [file.write("line\n"), print("printed", 1, file=file)]),
        ("wb", 0, lambda file: file.write("text")),
        ("wb", -1, lambda file: file.write("text")),
        ("w", -1, lambda file: file.write(b"bytes")),
        ("wb", 0, lambda file: file.read(1)),
        ("w", -1, lambda file: file.read(1)),
        ("wb", -1, lambda file: file.seek(0)),
        ("wb", 0, lambda file: file.tell()),
        ("wb", -1, lambda file: file.truncate(3)),
    ):
        reader, writer = os.pipe()
        got: list[bytes] = []

        def read(reader: int = reader, got: list[bytes] = got) -> None:
            with open(reader, "rb") as file:
                got.append(file.read())

        thread = started(read)
        with open(writer, mode, buffering) as file:
            t.outcome(f"{mode} {buffering}", write, file)
        thread.join()
        t.note(len(got[0]), got[0][:30])


def case_big(t: Any) -> None:
    data = os.urandom(BIG)
    for buffering in (-1, 0, 100):
        reader, writer = os.pipe()
        got: list[bytes] = []

        def read(reader: int = reader, got: list[bytes] = got) -> None:
            with open(reader, "rb") as file:
                got.append(file.read())

        thread = started(read)
        with open(writer, "wb", buffering) as file:
            t.note(file.write(data))
        thread.join()
        t.note(got[0] == data)


def case_threads_on_one_file(t: Any) -> None:
    """Nothing is lost when threads share a buffered file."""
    reader, writer = os.pipe()
    with open(reader, "rb") as source, open(writer, "wb") as sink:
        parts: list[bytes] = []

        def read() -> None:
            while part := source.read(4096):
                parts.append(part)

        def write(n: int) -> None:
            for i in range(100):
                sink.write(b"%d-%d-%s\n" % (n, i, b"x" * 500))

        readers = [started(read) for _ in range(3)]
        writers = [started(write, n) for n in range(4)]
        for thread in writers:
            thread.join()
        sink.close()
        for thread in readers:
            thread.join()
        t.note(sum(map(len, parts)), b"".join(parts).count(b"x"), b"".join(parts).count(b"\n"))


def case_text_from_threads(t: Any) -> None:
    """A text file is not for several threads, on some versions; under a lock it is."""
    reader, writer = os.pipe()
    got: list[str] = []
    lock = threading.Lock()

    def read() -> None:
        with open(reader) as file:
            got.extend(file)

    thread = started(read)
    with open(writer, "w") as file:

        def write(n: int) -> None:
            for i in range(100):
                with lock:
                    print(f"thread {n} line {i} {'y' * 300}", file=file)

        threads = [started(write, n) for n in range(4)]
        for one in threads:
            one.join()
    thread.join()
    t.note(len(got), len(set(got)), all(line.endswith("y" * 300 + "\n") for line in got))


def case_broken_and_closed(t: Any) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    file = open(writer, "wb")
    t.outcome("buffered", file.write, b"x")
    t.outcome("flush", file.flush)
    t.outcome("close", file.close)
    t.note(file.closed)
    reader, writer = os.pipe()
    os.close(reader)
    raw = open(writer, "wb", 0)
    t.outcome("raw", raw.write, b"x")
    t.outcome("raw, big", raw.write, b"x" * 100000)
    raw.close()
    for operation in (raw.write, raw.read, raw.fileno, raw.flush, raw.isatty, raw.readable, raw.readall, raw.readinto):
        args = (b"x",) if operation == raw.write else (bytearray(1),) if operation == raw.readinto else ()
        t.outcome("closed " + operation.__name__, operation, *args)
    reader, writer = os.pipe()
    for kind, fd in (("rb", reader), ("wb", writer)):
        file = open(fd, kind)
        file.close()
        file.close()
        for name, args in (("read", ()), ("write", (b"x",)), ("readline", ()), ("flush", ()), ("fileno", ()), ("__iter__", ())):
            if hasattr(file, name):
                t.outcome(f"closed {kind} {name}", getattr(file, name), *args)


def case_non_blocking(t: Any) -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    with open(reader, "rb", 0) as raw, open(writer, "wb", 0) as sink:
        t.note(raw.read(5), raw.readinto(bytearray(3)), raw.readall(), raw.read())
        sink.write(b"abc")
        t.note(raw.read(), raw.readall())
        t.note(0 < sink.write(b"x" * BIG) < BIG, sink.write(b"y" * 10000))
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    with open(reader, "rb") as file:
        t.note(file.read(5), file.read(), file.peek(1))
        t.outcome("read1", file.read1, 5)
        t.outcome("readline", file.readline)
        os.write(writer, b"part")
        t.outcome("readline of a part", file.readline)
    os.close(writer)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    file = open(writer, "wb")
    try:
        file.write(b"x" * BIG)
    except BlockingIOError as error:
        t.note(str(error), error.characters_written > 0)
    os.close(reader)
    with contextlib.suppress(OSError):
        file.close()


def case_fifo(t: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "fifo")
        os.mkfifo(path)
        for read, write in (("r", "w"), ("rb", "wb"), ("rb", "ab")):
            got: list[Any] = []

            def work(read: str = read, got: list[Any] = got) -> None:
                with open(path, read) as file:
                    got.append((file.read(), file.name == path, file.mode))

            thread = started(work)
            with open(path, write) as file:
                file.write("text" if write == "w" else b"bytes")
                t.note(file.name == path, file.mode)
            thread.join()
            t.note(got)
        thread = started(lambda: __import__("pathlib").Path(path).write_text("through pathlib"))
        t.note(__import__("pathlib").Path(path).read_text())
        thread.join()
        thread = started(lambda: open(path, "wb", opener=lambda name, flags: os.open(name, flags)).close())
        with open(path, "rb", 0) as raw:
            t.note(raw.read())
        thread.join()
        t.outcome("exclusive", open, path, "x")
        t.outcome("read and write", open, path, "r+")
        with open(path, "r+b", 0) as raw:
            t.note(raw.write(b"both"), raw.read(10))


def case_terminal(t: Any) -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    got: list[Any] = []
    with open(slave, "r+b", 0) as terminal, open(master, "r+b", 0, closefd=False) as other:
        thread = started(lambda: got.append(terminal.read(5)))
        other.write(b"typed")
        thread.join()
        t.note(got, terminal.isatty(), terminal.write(b"shown"), other.read(5))
    master, slave = os.openpty()
    with open(slave) as text:
        t.note(text.isatty(), text.line_buffering)
        thread = started(lambda: got.append(text.readline()))
        os.write(master, b"a line\n")
        thread.join()
        t.note(got[-1])
    os.close(master)


def case_sockets(t: Any) -> None:
    one, two = socket.socketpair()
    with one, two, one.makefile("rwb") as left, two.makefile("r", encoding="utf-8", newline="\n") as right:
        got: list[Any] = []
        thread = started(lambda: got.append([right.readline(), right.readline()]))
        left.write(b"first\n")
        left.flush()
        left.write(b"second\n")
        left.flush()
        thread.join()
        t.note(got)
        with open(two.fileno(), "wb", 0, closefd=False) as raw:
            raw.write(b"by its number\n")
        t.note(left.readline())


def case_rw_pair(t: Any) -> None:
    (reader, writer), (reader2, writer2) = os.pipe(), os.pipe()
    pair = io.BufferedRWPair(open(reader, "rb", 0), open(writer2, "wb", 0))
    echo = io.BufferedRWPair(open(reader2, "rb", 0), open(writer, "wb", 0))

    def serve() -> None:
        while line := echo.readline():
            echo.write(line.upper())
            echo.flush()

    thread = started(serve)
    for word in (b"one\n", b"two\n"):
        pair.write(word)
        pair.flush()
        t.note(pair.readline())
    pair.close()
    thread.join()
    echo.close()
    t.note(pair.closed, echo.closed)


def case_rw_pair_closed_during_a_read(t: Any) -> None:
    for mode in ("rwb", "rw"):
        left, right = socket.socketpair()
        with left, right:
            file = left.makefile(mode)
            got: list[Any] = []
            reading = started(lambda: got.append(file.readline()))  # noqa: B023 - called in this round
            closing = started(file.close)
            time.sleep(0.02)
            t.note(closing.is_alive(), got)
            right.sendall(b"a line\n")
            reading.join()
            closing.join()
            t.note(file.closed, got)


def case_rw_pair_closes_its_writer_first(t: Any) -> None:
    left, right = socket.socketpair()
    with left, right:
        file = left.makefile("rwb")
        got: list[Any] = []
        reading = started(lambda: got.append(file.readline()))
        time.sleep(0.01)
        file.write(b"QUIT\n")
        closing = started(file.close)
        t.note(right.recv(10))
        time.sleep(0.01)
        t.outcome("write", file.write, b"late")
        right.sendall(b"bye\n")
        reading.join()
        closing.join()
        t.note(got)
    (reader, writer), (reader2, writer2) = os.pipe(), os.pipe()
    pair = io.BufferedRWPair(open(reader, "rb", 0), open(writer2, "wb", 0))
    reading = started(lambda: got.append(pair.readline()))
    time.sleep(0.01)
    pair.write(b"kept back")
    closing = started(pair.close)
    with open(reader2, "rb") as other:
        t.note(other.read())  # to the end, which comes though the other direction is being read
    os.write(writer, b"bye\n")
    reading.join()
    closing.join()
    t.note(got, pair.closed)
    os.close(writer)
    (reader, writer), (reader2, writer2) = os.pipe(), os.pipe()
    broken = io.BufferedRWPair(open(reader, "rb", 0), open(writer2, "wb", 0))
    broken.write(b"for nobody")
    os.close(reader2)
    t.outcome("broken", broken.close)
    t.outcome("again", broken.close)
    t.note(broken.closed)
    os.close(writer)


def case_words_for_wrong_calls(t: Any) -> None:
    (reader, writer) = os.pipe()
    with open(reader, "rb") as source, open(writer, "wb") as sink:
        t.outcome("keyword", lambda: source.read(size=3))  # type: ignore[call-arg]
        t.outcome("keyword", lambda: sink.write(data=b"x"))  # type: ignore[call-arg]
        t.outcome("too many", lambda: source.read(1, 2))  # type: ignore[call-arg]
        t.outcome("the class for a file", lambda: type(source).read(5))  # type: ignore[arg-type]
        t.outcome("not set up", lambda: type(source).__new__(type(source)).read(1))
        for method in (source.read, source.readline, source.seek, sink.write):
            t.note(inspect.signature(method), method.__name__, method.__qualname__)


def case_handler_interrupts(t: Any) -> None:
    class Stop(Exception):
        pass

    def stop(signum: int, frame: Any) -> None:
        raise Stop("by a handler")

    old = signal.signal(signal.SIGUSR1, stop)
    reader, writer = os.pipe()
    try:
        with open(reader, "rb") as file, open(writer, "wb", 0) as sink:
            for name, args in (("read", (1,)), ("readline", ()), ("peek", ()), ("read1", (1,)), ("readinto", (bytearray(1),))):
                threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGUSR1)).start()
                t.outcome(name, getattr(file, name), *args)
            sink.write(b"still good\n")
            t.note(file.readline())
            threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGUSR1)).start()
            t.outcome("write", sink.write, b"x" * BIG)
    finally:
        signal.signal(signal.SIGUSR1, old)


def case_standard_input(t: Any) -> None:
    for name, source in {
        "read": "import sys; print(repr(sys.stdin.read()))",
        "lines": "import sys; print(list(sys.stdin))",
        "readline": "import sys; print(sys.stdin.readline(), sys.stdin.buffer.readline())",
        "buffer": "import sys; print(sys.stdin.buffer.read(3), sys.stdin.buffer.raw.read(100))",
        "input": "print(repr(input()), repr(input('prompt> ')))\ntry: input()\nexcept EOFError as error: print(repr(error))",
        "os.read": "import os; print(os.read(0, 100))",
        "open 0": "print(open(0).read())",
        "fileinput": "import fileinput; print(list(fileinput.input()))",
        "forms": "import sys; f = sys.stdin; print(f, f.name, f.mode, f.encoding, f.errors, f.fileno(), f.isatty(),"
        " f is sys.__stdin__, type(f), f.line_buffering, f.newlines)",
        "thread": "import sys, threading\nthread = threading.Thread(target=lambda: print(sys.stdin.read()))\n"
        "thread.start()\nthread.join()\nprint('main')",
    }.items():
        said(t, name, source, input="first line\nsecond\r\n")


def case_input_on_a_terminal(t: Any) -> None:
    source = "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()"
    source += "\nprint(repr(input('? ')), input())"
    pid, master = os.forkpty()
    if pid == 0:
        os.execv(sys.executable, [*launcher(), "-c", source])
    text = b""
    while b"? " not in text:
        text += os.read(master, 100)
    os.write(master, b"an answer\n")
    os.write(master, b"another\n")
    with contextlib.suppress(OSError):
        while part := os.read(master, 1000):
            text += part
    t.note(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), sorted(text.split()))
    os.close(master)


def case_print_to_a_full_pipe(t: Any) -> None:
    """The program prints more than a pipe holds before anybody reads."""
    import subprocess

    source = "import sys, threading\nthreading.Thread(target=print, args=('x' * 300000,)).start()\nprint('y' * 300000)"
    process = subprocess.Popen([*launcher(), "-c", source], stdout=subprocess.PIPE)
    time.sleep(0.1)
    out, _ = process.communicate()
    t.note(out.count(b"x"), out.count(b"y"), process.returncode)


def case_written_to_the_disk(t: Any) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"x" * 100)
        file.flush()

        class Number:
            def __init__(self, result: Any) -> None:
                self.result = result

            def fileno(self) -> Any:
                if isinstance(self.result, Exception):
                    raise self.result
                return self.result

        over = False

        def others() -> None:
            while not over:
                time.sleep(0.001)

        thread = threading.Thread(target=others)
        thread.start()
        reader, writer = os.pipe()
        for name in ("fsync", "fdatasync"):
            call = getattr(os, name)
            for label, thing in (
                ("number", file.fileno()), ("file", file), ("object", Number(file.fileno())), ("no number", Number("x")),
                ("raises", Number(LookupError("no"))), ("raises OSError", Number(OSError("no"))), ("pipe", reader), ("text", "x"),
                ("none", None), ("negative", -1), ("large", 1 << 70), ("float", 1.5), ("bool", True), ("closed", 54321),
            ):  # fmt: skip
                t.outcome(f"{name} {label}", call, thing)
            t.outcome(f"{name} by name", call, fd=file.fileno())
            t.outcome(f"{name} of nothing", call)
            t.outcome(f"{name} of two", call, 1, 2)
        t.outcome("sync", os.sync)
        t.outcome("sync of one", os.sync, 1)
        over = True
        thread.join()
        os.close(reader)
        os.close(writer)
