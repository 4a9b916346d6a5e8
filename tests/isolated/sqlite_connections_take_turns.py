# run: -m dhagapatch
"""Threads that share one connection of `sqlite3` wait for each other, also while a function that a statement calls waits.

Natively they do so too, but such programs stand still now and then: one thread waits for the connection with the interpreter's
lock, the other one, which has it, for that lock.  So there is nothing to compare with.  And the threads' statements differ in
their text here: those of the same text share one in the connection's cache, natively too, and get in each other's way.
"""

import contextlib
import gc
import os
import sqlite3
import tempfile
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

            def change(n, got=got, inside=inside, label=label, statement=statement):
                inside.wait()
                with contextlib.suppress(sqlite3.OperationalError):
                    connection.execute(f"{statement} /* {n} */")
                    got.append(label)

            in_threads(query, lambda change=change: change(1), lambda change=change: change(2))
            assert got == ([6, "insert", "insert"] if label == "insert" else [8, "drop"]), got
        connection.rollback()


def callbacks():
    with opened(isolation_level=None) as connection:
        connection.execute("create table u (x)")
        connection.executemany("insert into u values (?)", [(n,) for n in range(5)])

        def count_to(x):
            slow()
            return connection.execute(f"select count(*) from u where x <= {x} /* {threading.get_ident()} */").fetchone()[0]

        connection.create_function("count_to", 1, count_to)
        results = []

        def query(statement, n):
            results.append(connection.execute(f"{statement} /* {n} */").fetchone()[0])

        in_threads(*(lambda n=n: query("select sum(count_to(x)) from u", n) for n in range(3)))
        assert results == [15] * 3, results
        connection.set_progress_handler(lambda: time.sleep(0.001), 10)
        in_threads(*(lambda n=n: query("select max(x) from u", n) for n in range(3)))
        connection.set_progress_handler(None, 0)
        assert results[3:] == [4] * 3, results


def many_in_a_queue():
    with opened() as connection:
        connection.create_function("slow", 1, slow)
        order = []
        in_threads(*[lambda n=n: order.append(connection.execute(f"select slow({n})").fetchone()[0]) for n in range(30)])
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

        def query(n):
            try:
                assert connection.execute(f"select {n}").fetchone() == (n,)
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
        dhagas = [dhagapatch.spawn(query, n) for n in range(10, 13)]
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


def beside_a_native_thread_of_the_same_connection(folder):
    """It waits for the connection with the interpreter's lock, for which the sleeper asks that has the connection."""
    path = os.path.join(folder, "data")
    pause = dhagapatch.original("time", "sleep")
    done = []
    with contextlib.closing(sqlite3.connect(path, check_same_thread=False, timeout=0.3)) as one:
        with contextlib.closing(sqlite3.connect(path)) as other:
            one.execute("create table t (x)")
            one.commit()
            other.execute("begin immediate")

            def natively():
                pause(0.1)
                one.create_function("f", 1, slow)
                done.append(True)

            dhagapatch.original("_thread", "start_new_thread")(natively, ())
            try:
                one.execute("insert into t values (1)")
            except sqlite3.OperationalError as error:
                assert str(error) == "database is locked"
            else:
                raise AssertionError("it was locked")
            while not done:
                time.sleep(0.001)


def shared_cache():
    name = "file:shared?mode=memory&cache=shared"
    with contextlib.closing(sqlite3.connect(name, uri=True)) as one, contextlib.closing(sqlite3.connect(name, uri=True)) as other:
        one.execute("create table t (x)")
        one.execute("insert into t values (1)")
        one.commit()
        one.create_function("slow", 1, slow)
        got = []
        in_threads(
            lambda: got.append(one.execute("select slow(x) from t").fetchall()),
            lambda: got.append(other.execute("select x from t").fetchall()),
        )
        assert got == [[(1,)], [(1,)]], got


def nobody_starves():
    with opened(isolation_level=None) as connection:
        connection.create_function("slow", 1, slow)
        connection.execute("create table t (x)")
        connection.execute("insert into t values (1)")
        got = []
        rounds = 0

        def holder():
            nonlocal rounds
            while not got and rounds < 300:
                connection.execute("delete from t where slow(x) = 2")
                rounds += 1

        def other():
            time.sleep(0.01)
            got.append(connection.execute("delete from t where x = 5").rowcount)

        in_threads(holder, other)
        assert rounds < 50, rounds


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
    with tempfile.TemporaryDirectory() as folder:
        beside_a_native_thread_of_the_same_connection(folder)
    shared_cache()
    nobody_starves()
    unpatched()
