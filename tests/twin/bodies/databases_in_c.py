"""`sqlite3`: connections that wait for each other's locks."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

SHORT = 0.1  # seconds


@contextlib.contextmanager
def database(*statements: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "data")
        with contextlib.closing(sqlite3.connect(path)) as connection:
            for statement in ("create table t (n)", *statements):
                connection.execute(statement)
            connection.commit()
        yield path


def opened(path: str, **kwargs: Any) -> Any:
    return contextlib.closing(sqlite3.connect(path, check_same_thread=False, **kwargs))


class Beats:
    """A thread that beats while something waits."""

    def __init__(self) -> None:
        self.count = 0
        self._over = False
        self._thread = threading.Thread(target=self._beat)
        self._thread.start()

    def _beat(self) -> None:
        while not self._over:
            self.count += 1
            time.sleep(0.001)

    def stop(self) -> bool:
        """Whether it has beaten."""
        self._over = True
        self._thread.join()
        return self.count > 10


def in_threads(*functions: Any) -> None:
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def case_writers(t: Any) -> None:
    for mode in ("delete", "wal"):
        with database(f"pragma journal_mode = {mode}") as path:
            done: list[int] = []

            def write(n: int, path: str = path, done: list[int] = done) -> None:
                with opened(path) as connection:
                    for _ in range(5):
                        connection.execute("begin immediate")
                        connection.execute("insert into t values (?)", (n,))
                        time.sleep(0.002)
                        connection.commit()
                    done.append(n)

            in_threads(*(lambda n=n: write(n) for n in range(6)))
            with opened(path) as connection:
                t.note(mode, sorted(done), connection.execute("select n, count(*) from t group by n").fetchall())


def case_out_of_time(t: Any) -> None:
    with database() as path, opened(path, timeout=SHORT) as one, opened(path, timeout=SHORT) as other:
        one.execute("begin immediate")
        for label, call in (
            ("begin", lambda: other.execute("begin immediate")),
            ("insert", lambda: other.execute("insert into t values (1)")),
            ("executemany", lambda: other.executemany("insert into t values (?)", [(1,), (2,)])),
            ("executescript", lambda: other.executescript("insert into t values (1); insert into t values (2)")),
        ):
            beats = Beats()
            began = time.monotonic()
            t.outcome(label, call)
            lasted = time.monotonic() - began
            t.note(SHORT * 0.5 < lasted < SHORT * 30, beats.stop(), other.in_transaction, other.total_changes)
            other.rollback()
        other.execute("pragma busy_timeout = 0")
        began = time.monotonic()
        t.outcome("none", other.execute, "begin immediate")
        t.note(time.monotonic() - began < SHORT, other.execute("pragma busy_timeout").fetchone())
        other.execute("pragma busy_timeout = 2000")
        threading.Timer(SHORT / 2, one.rollback).start()
        t.note(other.execute("begin immediate").fetchall(), other.execute("pragma busy_timeout").fetchone())


def case_what_waits(t: Any) -> None:
    with database("insert into t values (1)", "create table b (x)", "insert into b values (zeroblob(4))") as path:
        with opened(path) as reader, opened(path) as writer:
            # a commit waits for who reads
            rows = reader.execute("select n from t")
            t.note(rows.fetchone())
            cursor = reader.execute("select n from t union all select n from t")
            t.note(cursor.fetchone())
            writer.execute("insert into t values (2)")
            threading.Timer(0.03, cursor.fetchall).start()
            t.note(writer.commit(), writer.in_transaction)
            # who reads, for a commit; a blob, for a writer; a script, a backup
            for label, call in (
                ("select", lambda: reader.execute("select count(*) from t").fetchone()),
                ("blob", lambda: bytes(reader.blobopen("b", "x", 1, readonly=True).read())),
                ("script", lambda: reader.executescript("select 1; select count(*) from t; insert into t values (3)").fetchall()),
                ("vacuum", lambda: reader.execute("vacuum").fetchall()),
            ):
                writer.execute("begin exclusive")
                beats = Beats()
                threading.Timer(0.05, writer.rollback).start()
                t.outcome(label, call)
                t.note(beats.stop(), writer.in_transaction)
                reader.commit()
            with opened(":memory:") as copy:
                writer.execute("begin exclusive")
                seen: list[tuple[int, int]] = []
                threading.Timer(0.05, writer.rollback).start()
                t.note(reader.backup(copy, progress=lambda _, left, count: seen.append((left, count)), sleep=0.005))
                t.note(len(seen) > 3)
                t.note(copy.execute("select n from t order by n").fetchall())


def case_no_use_in_waiting(t: Any) -> None:
    with database("insert into t values (1)") as path, opened(path) as one, opened(path) as other:
        one.execute("begin")
        other.execute("begin")
        t.note(one.execute("select n from t").fetchall(), other.execute("select n from t").fetchall())
        one.execute("update t set n = 2")
        began = time.monotonic()
        t.outcome("both would wait for ever", other.execute, "update t set n = 3")
        t.note(time.monotonic() - began < 2)
        other.rollback()
        one.commit()


def case_signals(t: Any) -> None:
    with database() as path, opened(path) as one, opened(path, timeout=5) as other:
        called: list[float] = []

        def handler(*_: Any) -> None:
            called.append(time.monotonic())

        def failing(*_: Any) -> None:
            raise LookupError("from a handler")

        before = signal.signal(signal.SIGALRM, handler)
        try:
            for setting in (handler, failing):
                signal.signal(signal.SIGALRM, setting)
                one.execute("begin immediate")
                timer = threading.Timer(0.1, one.rollback)
                timer.start()
                signal.setitimer(signal.ITIMER_REAL, 0.02)
                ended: list[float] = []

                def begin(ended: list[float] = ended) -> None:
                    try:
                        other.execute("begin immediate")
                    finally:
                        ended.append(time.monotonic())

                t.outcome("begin", begin)
                timer.join()
                t.note(other.in_transaction, len(called))
                other.rollback()
            # natively it is called when the statement has ended, not in the middle of it
            other.execute("begin immediate")
            other.rollback()
        finally:
            signal.signal(signal.SIGALRM, before)


def case_memory_that_is_shared(t: Any) -> None:
    name = "file:shared_by_two?mode=memory&cache=shared"
    with opened(name, uri=True) as one, opened(name, uri=True, timeout=SHORT) as other:
        one.execute("create table u (x)")
        one.commit()
        one.execute("insert into u values (1)")
        t.outcome("locked", other.execute, "select * from u")
        one.commit()
        t.note(other.execute("select * from u").fetchall())
        results: list[Any] = []

        def use(connection: Any) -> None:
            for _ in range(5):
                with contextlib.suppress(sqlite3.OperationalError), connection:
                    connection.execute("insert into u values (2)")
                    time.sleep(0.001)
                results.append(connection.in_transaction)

        in_threads(lambda: use(one), lambda: use(other))
        t.note(set(results))
