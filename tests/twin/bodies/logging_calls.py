"""`logging` in threads and forks, `tempfile`, and printing."""

from __future__ import annotations

import contextlib
import io
import logging
import logging.handlers
import os
import queue
import socket
import socketserver
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from typing import Any

from programs import said

warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of forks of a process with threads


@contextlib.contextmanager
def logger(*handlers: logging.Handler) -> Iterator[logging.Logger]:
    """A logger of its own with these handlers."""
    one = logging.Logger("twin", logging.DEBUG)
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(threadName)s %(levelname)s %(message)s"))
        one.addHandler(handler)
    try:
        yield one
    finally:
        for handler in handlers:
            handler.close()


def log_in_threads(log: logging.Logger, threads: int = 4, lines: int = 50) -> None:
    def work() -> None:
        for n in range(lines):
            log.info("line %d", n)

    workers = [threading.Thread(target=work, name=f"worker {n}") for n in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def case_stream(t: Any) -> None:
    stream = io.StringIO()
    with logger(logging.StreamHandler(stream)) as log:
        log_in_threads(log)
        log.error("at the end", exc_info=False)
    lines = stream.getvalue().splitlines()
    t.note(len(lines), len(set(lines)), lines[-1], sum(line.startswith("worker 2 INFO line") for line in lines))


def case_pipe(t: Any) -> None:
    """Handlers over a pipe: somebody reads slowly."""
    reader, writer = os.pipe()
    got: list[str] = []

    def read() -> None:
        with open(reader) as file:
            for line in file:
                got.append(line)

    thread = threading.Thread(target=read)
    thread.start()
    with open(writer, "w") as file, logger(logging.StreamHandler(file)) as log:
        log_in_threads(log, 4, 200)
    thread.join()
    t.note(len(got), len(set(got)), all(line.startswith("worker") for line in got))


def case_files(t: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "log")
        with logger(logging.FileHandler(path)) as log:
            log_in_threads(log)
        with open(path) as file:
            t.note(len(set(file)))
        with logger(logging.handlers.RotatingFileHandler(path, maxBytes=2000, backupCount=50)) as log:
            log_in_threads(log)
        text = []
        for name in os.listdir(folder):
            with open(os.path.join(folder, name)) as file:
                text += file.readlines()
        t.note(len(os.listdir(folder)) > 2, len(text), len(set(text)))


def case_queue_handler(t: Any) -> None:
    for jobs in (queue.Queue(), queue.SimpleQueue()):
        stream = io.StringIO()
        target = logging.StreamHandler(stream)
        with logger(logging.handlers.QueueHandler(jobs)) as log:
            listener = logging.handlers.QueueListener(jobs, target)
            listener.start()
            log_in_threads(log)
            listener.stop()
        t.note(len(stream.getvalue().splitlines()))


def case_memory_and_socket(t: Any) -> None:
    records: list[int] = []

    class Receive(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while size := self.rfile.read(4):
                records.append(len(self.rfile.read(int.from_bytes(size, "big"))))

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Receive) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        with logger(logging.handlers.SocketHandler(*server.server_address)) as log:  # type: ignore[misc]
            log_in_threads(log, 2, 10)
        deadline = time.monotonic() + 5
        while len(records) < 20 and time.monotonic() < deadline:
            time.sleep(0.001)
        server.shutdown()
        thread.join()
    t.note(len(records))
    stream = io.StringIO()
    with logger(logging.handlers.MemoryHandler(7, target=logging.StreamHandler(stream))) as log:
        log_in_threads(log, 2, 10)
    t.note(len(stream.getvalue().splitlines()))


def case_a_handler_that_waits(t: Any) -> None:
    """Its lock is held meanwhile: others wait, and nothing is lost."""
    seen: list[str] = []
    inside: list[int] = []

    class Slow(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            inside.append(1)
            time.sleep(0.002)
            seen.append(record.getMessage())
            assert len(inside) == 1
            inside.pop()

    with logger(Slow()) as log:
        log_in_threads(log, 4, 5)
    t.note(len(seen), inside)


def case_fork_while_logging(t: Any) -> None:
    """The child may log, though a thread of the parent was logging when it forked."""
    reader, writer = os.pipe()
    with open(writer, "w") as file, logger(logging.StreamHandler(file)) as log:
        stop = threading.Event()

        def work() -> None:
            while not stop.is_set():
                log.debug("busy")
                time.sleep(0)

        handler = log.handlers[0]
        handler.setLevel(logging.INFO)
        thread = threading.Thread(target=work)
        thread.start()
        codes = []
        for n in range(3):
            pid = os.fork()
            if pid == 0:
                log.info("in child %d", n)
                os._exit(0)
            codes.append(os.waitpid(pid, 0)[1])
        stop.set()
        thread.join()
    with open(reader) as text:
        t.note(codes, text.readlines())


def case_errors(t: Any) -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError("no room")

    old, sys.stderr = sys.stderr, io.StringIO()
    try:
        with logger(logging.StreamHandler(Broken())) as log:
            thread = threading.Thread(target=log.info, args=("lost",))
            thread.start()
            thread.join()
        said_there = sys.stderr.getvalue()
    finally:
        sys.stderr = old
    t.note(said_there.splitlines()[0], said_there.splitlines()[-2:])


def case_temporary_files(t: Any) -> None:
    names: list[str] = []

    def make() -> None:
        for _ in range(10):
            with tempfile.NamedTemporaryFile() as file, tempfile.SpooledTemporaryFile(max_size=10) as spooled:
                file.write(b"x")
                spooled.write(b"more than ten bytes")
                names.append(file.name)

    threads = [threading.Thread(target=make) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    t.note(len(names), len(set(names)), any(os.path.exists(name) for name in names))


def case_programs(t: Any) -> None:
    said(
        t, "basicConfig, warnings, last resort",
        """
        import logging, threading, warnings
        logging.warning("to stderr")
        logging.basicConfig(format="%(threadName)s:%(message)s", force=True)
        thread = threading.Thread(target=logging.error, args=("from a thread",), name="worker")
        thread.start()
        thread.join()
        logging.captureWarnings(True)
        warnings.warn("a warning")
        try:
            1 / 0
        except ZeroDivisionError:
            logging.exception("with a traceback")
        """,
    )  # fmt: skip


def case_stacks_and_tracebacks(t: Any) -> None:
    """What is shown of a call that waits, and of the one that asks: the program's own frames."""
    left, right = socket.socketpair()
    left.settimeout(0.01)
    shown = io.StringIO()
    handler = logging.StreamHandler(shown)
    handler.setFormatter(logging.Formatter("%(message)s %(funcName)s %(filename)s"))
    logger = logging.getLogger("stacks")
    logger.addHandler(handler)
    logger.propagate = False

    def tells() -> None:
        for call in (lambda: left.recv(1), lambda: left.sendall(bytes(1 << 24)), lambda: queue.Queue().get(timeout=0.01)):
            try:
                call()
            except (TimeoutError, queue.Empty) as error:
                t.note(traceback.format_exc())
                t.note([frame.name for frame in traceback.extract_tb(error.__traceback__)])
                t.note([frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)])
                t.note("".join(traceback.format_exception(error)))
                logger.exception("logged", stack_info=True)
        t.note("".join(traceback.format_stack()))
        t.note([frame.f_code.co_name for frame, _ in traceback.walk_stack(sys._getframe())])

    tells()
    thread = threading.Thread(target=tells)
    thread.start()
    thread.join()
    t.note(shown.getvalue())
    right.close()
    left.close()
