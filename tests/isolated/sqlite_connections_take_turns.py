# run: -m dhagapatch
"""Threads that share one connection of `sqlite3` wait for each other, also while a function that a statement calls waits.

Natively they do so too, but such programs stand still now and then: one thread waits for the connection with the interpreter's
lock, the other one, which has it, for that lock.  So there is nothing to compare with.
"""

import contextlib
import gc
import sqlite3
import threading
import time

import dhagapatch
from dhagapatch.core.extension import speedups


def in_threads(*functions):
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def opened(**kwargs):
    return contextlib.closing(sqlite3.connect(":memory:", check_same_thread=False, **kwargs))


def slow(x=1):
    time.sleep(0.005)
    return x


def statements():
    with opened() as connection:
        connection.execute("create table u (x)")
        connection.executemany("insert into u values (?)", [(1,)] * 6)
        connection.commit()
        connection.create_function("slow", 1, slow)
        for label, statement in (("insert", "insert into u values (1)"), ("drop", "drop table u")):
            got = []
            inside = threading.Event()

            def tell(x, rows=[], inside=inside):  # noqa: B006
                rows.append(x)
                if len(rows) == 3:
                    inside.set()
                return x

            connection.create_function("tell", 1, tell)

            def query(got=got):
                got.append(connection.execute("select sum(slow(tell(x))) from u").fetchone()[0])

            def change(got=got, inside=inside, label=label, statement=statement):
                inside.wait()
                with contextlib.suppress(sqlite3.OperationalError):
                    connection.execute(statement)
                    got.append(label)

            in_threads(query, change, change)
            assert got == ([6, "insert", "insert"] if label == "insert" else [8, "drop"]), got
        connection.rollback()


def callbacks():
    with opened(isolation_level=None) as connection:
        connection.execute("create table u (x)")
        connection.executemany("insert into u values (?)", [(n,) for n in range(5)])

        def count_to(x):
            slow()
            return connection.execute("select count(*) from u where x <= ?", (x,)).fetchone()[0]

        connection.create_function("count_to", 1, count_to)
        results = []
        in_threads(*[lambda: results.append(connection.execute("select sum(count_to(x)) from u").fetchone()[0])] * 3)
        assert results == [15] * 3, results
        connection.set_progress_handler(lambda: time.sleep(0.001), 10)
        in_threads(*[lambda: results.append(connection.execute("select max(x) from u").fetchone()[0])] * 3)
        connection.set_progress_handler(None, 0)
        assert results[3:] == [4] * 3, results


def many_in_a_queue():
    with opened() as connection:
        connection.create_function("slow", 1, slow)
        order = []
        in_threads(*[lambda n=n: order.append(connection.execute("select slow(?)", (n,)).fetchone()[0]) for n in range(30)])
        assert sorted(order) == list(range(30)) and order[0] == 0, order


def dropped():
    with opened() as connection:
        connection.execute("create table b (x)")
        connection.execute("insert into b values (zeroblob(10))")
        connection.create_function("slow", 1, slow)
        for collects in (False, True):
            cursors = [connection.execute("select 1 union select 2") for _ in range(3)]
            blob = connection.blobopen("b", "x", 1)
            if collects:
                cursors.append(cursors)
            got = []
            thread = threading.Thread(target=lambda got=got: got.append(connection.execute("select slow(1)").fetchone()))
            thread.start()
            time.sleep(0.001)
            del cursors, blob
            gc.collect()
            thread.join()
            assert got == [(1,)], got


def killed():
    """Who has been ended while it waits for its turn has it, and ends at its next wait."""
    with opened() as connection:
        inside, leave = threading.Event(), threading.Event()
        connection.create_function("stay", 0, lambda: (inside.set(), leave.wait())[1])
        ended = []

        def query():
            try:
                assert connection.execute("select 1").fetchone() == (1,)
                ended.append("statement")
                time.sleep(5)
            finally:
                ended.append("thread")

        def limited():
            try:
                with dhagapatch.Timeout(0.01):
                    ended.append(connection.execute("select 2").fetchone()[0])
                    time.sleep(5)
            except TimeoutError:
                ended.append("time")

        holder = threading.Thread(target=lambda: connection.execute("select stay()").fetchall())
        holder.start()
        inside.wait()
        dhagas = [dhagapatch.spawn(query) for _ in range(3)]
        late = threading.Thread(target=limited)
        late.start()
        time.sleep(0.02)
        for dhaga in dhagas:
            dhaga.kill()
        time.sleep(0.01)
        assert not ended, ended
        leave.set()
        holder.join()
        late.join()
        while not all(dhaga.dead for dhaga in dhagas):
            time.sleep(0.001)
        assert ended.count("statement") == ended.count("thread") == 3, ended
        assert ended.index(2) < ended.index("time"), ended


def beside_native_threads():
    """Another OS thread has connections of its own."""
    done = []

    def natively():
        with opened() as connection:
            connection.create_function("same", 1, lambda x: x)
            done.append(connection.execute("select same(5)").fetchone())

    native = dhagapatch.original("_thread", "start_new_thread")
    with opened() as connection:
        connection.create_function("slow", 1, slow)
        native(natively, ())
        assert connection.execute("select slow(1)").fetchone() == (1,)
        while not done:
            time.sleep(0.001)
        assert done == [(5,)]


def unpatched():
    with opened() as connection:
        connection.create_function("slow", 1, slow)
        dhagapatch.unpatch_all()
        assert connection.execute("select slow(1)").fetchone() == (1,)
    dhagapatch.patch_all()
    statements()


if speedups is not None:
    statements()
    callbacks()
    many_in_a_queue()
    dropped()
    killed()
    beside_native_threads()
    unpatched()
