"""sqlite3 with offload=["sqlite3"]: statements run on the connection's own native thread, and all else is as it was."""

import gc
import os
import pickle
import sqlite3
import sqlite3.dbapi2 as dbapi2
import sys
import tempfile
import threading
import time
from _thread import get_ident as native_ident
from sqlite3 import connect as early_connect

early = sqlite3.connect(":memory:", check_same_thread=False)
real_types = sqlite3.Connection, sqlite3.Cursor, sqlite3.connect


class EarlyKind(sqlite3.Connection):
    def twice(self):
        return self.execute("select 2").fetchone()


import dhagapatch

report = dhagapatch.patch_all(offload=["sqlite3"])
assert dhagapatch.is_patched("sqlite3") and "_sqlite3.connect" in report.replaced
assert dbapi2.connect is early_connect is sqlite3.connect is not real_types[2]

from dhagapatch import _real
from dhagapatch.core import own_native_threads
from dhagapatch.testing import Watchdog

watchdog = Watchdog(18)
LONG = "with recursive t(n) as (select 1 union all select n + 1 from t where n < {}) select {} from t"
main = native_ident()
threads = own_native_threads()

# made before the patch: works as ever
assert isinstance(early, sqlite3.Connection) and issubclass(real_types[0], sqlite3.Connection)
assert early.execute("select 1").fetchall() == [(1,)] and isinstance(early.cursor(), sqlite3.Cursor)
assert sqlite3.connect(":memory:", factory=EarlyKind).twice() == (2,)

# a long query holds nobody up; nor does a commit, a script, or a loop over rows
connection = sqlite3.connect(":memory:")
assert isinstance(connection, sqlite3.Connection) and type(connection).__name__ == "Connection"
assert not isinstance(connection, sqlite3.Cursor) and not isinstance(5, sqlite3.Connection)
beats = []


def beat():
    while True:
        beats.append(1)
        time.sleep(0.005)


heart = threading.Thread(target=beat, daemon=True)
heart.start()


def beats_in(function):
    time.sleep(0.01)
    before = len(beats)
    function()
    return len(beats) - before


cursor = connection.cursor()
for function in (
    lambda: connection.execute(LONG.format(400_000, "sum(n)")).fetchall(),
    lambda: cursor.execute(LONG.format(400_000, "sum(n)")).fetchone(),
    lambda: connection.executescript(f"create table if not exists t as {LONG.format(200_000, 'n')}; delete from t;"),
    lambda: cursor.executemany("insert into t values (?)", ((n,) for n in range(200_000))),
    lambda: cursor.execute("select n from t").fetchall() and connection.execute("select sum(n) from t, (select 1)").fetchone(),
    lambda: list(cursor.execute("select a.n from t a where n % 20000 = 0 union all select 1")),
    connection.commit,
):
    assert beats_in(function) >= 1 or function == connection.commit, function

# rows in order, whatever takes them
cursor.execute(LONG.format(1000, "n"))
taken = [next(cursor), cursor.fetchone(), *cursor.fetchmany(3), *(row for row, _ in zip(cursor, range(100)))]
taken += [*cursor.fetchmany(50), next(cursor), *cursor.fetchall()]
assert taken == [(n,) for n in range(1, 1001) if n != 106], [n for n in range(1, 1001) if (n,) not in taken]
assert cursor.fetchone() is None and list(cursor) == [] and cursor.fetchall() == []
cursor.execute(LONG.format(1000, "n"))
assert next(cursor) == (1,) and next(cursor) == (2,) and cursor.execute("select 5").fetchall() == [(5,)]
outcomes = []
for one in (connection, early):
    one.create_function("bad", 1, lambda n: 1 // (n - 5))
    got = []
    rows = one.execute(LONG.format(10, "bad(n)"))
    try:
        for row in rows:
            got.append(row)
    except sqlite3.OperationalError as error:
        outcomes.append((got, str(error), rows.fetchall()))
bad = connection.execute(LONG.format(10, "bad(n - 1)"))
assert [next(bad) for _ in range(4)] == [(-1,)] * 4 and bad._dhaga_error is not None  # fetched ahead
assert bad.execute("select 7").fetchone() == (7,) and bad.fetchall() == []
assert outcomes[0] == outcomes[1] and len(outcomes[0][0]) >= 3, outcomes

# callbacks run there, where patched calls are native; they may use the connection
where = []
connection.create_function("where_am_i", 0, lambda: where.append(native_ident()) or time.sleep(0.05) or 1)
assert beats_in(lambda: connection.execute("select where_am_i()").fetchall()) >= 1
assert where[0] != main
connection.create_function("nested", 0, lambda: connection.execute("select 42").fetchone()[0])
assert connection.execute("select nested()").fetchone() == (42,)
connection.row_factory = sqlite3.Row
row = connection.execute("select 1 as a, 2 as b").fetchone()
assert row["b"] == 2 and isinstance(row, sqlite3.Row)
connection.row_factory = None

# one thread a connection, whoever uses it; checked as natively
shared = sqlite3.connect(":memory:", check_same_thread=False)
shared.create_function("where_am_i", 0, native_ident)
seen = set()
users = [threading.Thread(target=lambda: seen.add(shared.execute("select where_am_i()").fetchone())) for _ in range(20)]
for user in users:
    user.start()
for user in users:
    user.join()
assert len(seen) == 1 and seen != {(main,)}, seen
told = []


def misuse():
    blob_user = lambda: connection.blobopen("t", "n", 1)  # noqa: E731
    for use in (
        lambda: connection.execute("select 1"), connection.cursor, connection.commit, connection.close, lambda: next(cursor),
        cursor.fetchall, lambda: connection.create_function("f", 0, len), blob_user, cursor.close,
        lambda: connection.set_trace_callback(None),
    ):  # fmt: skip
        try:
            use()
        except sqlite3.ProgrammingError as error:
            told.append(str(error))


thread = threading.Thread(target=misuse)
thread.start()
thread.join()
words = f"SQLite objects created in a thread can only be used in that same thread. The object was created in thread id {main} and"
assert len(told) == 10 and all(text.startswith(words) for text in told), told
assert told[0] == f"{words} this is thread id {thread.ident}."

# `interrupt` from another dhaga
threading.Thread(target=lambda: (time.sleep(0.1), connection.interrupt())).start()
try:
    connection.execute(LONG.format(10**9, "sum(n)")).fetchall()
except sqlite3.OperationalError as error:
    assert str(error) == "interrupted"
else:
    raise AssertionError

# a limit ends the wait; the statement runs on, and the next one comes after it
try:
    with dhagapatch.Timeout(0.02):
        connection.execute(LONG.format(600_000, "sum(n)")).fetchall()
except TimeoutError:
    pass
else:
    raise AssertionError
assert connection.execute("select 1").fetchone() == (1,)

# `with`, transactions, settings
with connection:
    connection.execute("create table w (a)")
    connection.execute("insert into w values (1)")
assert not connection.in_transaction
try:
    with connection:
        connection.execute("insert into w values (2)")
        raise KeyError
except KeyError:
    pass
assert connection.execute("select a from w").fetchall() == [(1,)]
connection.isolation_level = None
assert connection.isolation_level is None
connection.isolation_level = "DEFERRED"
with sqlite3.connect(":memory:") as target:
    connection.backup(target)
    assert target.execute("select a from w").fetchall() == [(1,)]
assert "CREATE TABLE w" in "".join(connection.iterdump())

# blobs
connection.execute("create table blobs (b blob)")
connection.execute("insert into blobs values (zeroblob(10))")
with connection.blobopen("blobs", "b", 1) as blob:
    assert isinstance(blob, sqlite3.Blob) and len(blob) == 10
    blob.write(b"hello")
    blob[5] = 33
    blob.seek(0)
    assert blob.read(6) == b"hello!" and blob.tell() == 6 and blob[0:2] == b"he"


# factories and subclasses: a program's own methods run in the dhaga
class Mine(sqlite3.Connection):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.log = []

    def execute(self, *args):
        self.log.append((native_ident(), args))
        return super().execute(*args)

    def cursor(self, factory=None):
        return super().cursor(factory or MyCursor)


class MyCursor(sqlite3.Cursor):
    def fetchone(self):
        return "mine", super().fetchone()


mine = sqlite3.connect(":memory:", factory=Mine)
assert mine.execute("select 3").fetchone() == (3,) and mine.log == [(main, ("select 3",))]
assert type(mine.cursor()) is MyCursor and mine.cursor().execute("select 4").fetchone() == ("mine", (4,))
direct = sqlite3.Connection(":memory:")
assert direct.execute("select 1").fetchone() == (1,) and sqlite3.Cursor(direct).execute("select 2").fetchone() == (2,)
for thing in (connection, cursor):
    try:
        pickle.dumps(thing)
    except TypeError as error:
        assert str(error).startswith("cannot pickle"), error
    else:
        raise AssertionError

# in a forked child there is a new thread
path = f"{tempfile.mkdtemp()}/file.db"
filed = sqlite3.connect(path)
filed.execute("create table t (a)")
pid = os.fork()
if not pid:
    assert sqlite3.connect(path).execute("select count(*) from t").fetchone() == (0,)
    assert filed.execute("select count(*) from t").fetchone() == (0,)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0

# from a native thread
ready = _real.allocate_lock()
ready.acquire()
told.clear()
_real.start_new_thread(lambda: (told.append(shared.execute("select where_am_i()").fetchone()), ready.release()), ())
while not ready.acquire(False):
    time.sleep(0.01)
assert told and told[0] in seen, (told, seen)

# the threads end: with `close`, and with the connection
cursor.close()
connection.close()
try:
    connection.execute("select 1")
except sqlite3.ProgrammingError as error:
    assert str(error) == "Cannot operate on a closed database."
else:
    raise AssertionError
connection.close()
shared.close()
filed.close()
mine = direct = target = blob = function = cursor = user = users = None
gc.collect()
for _ in range(300):
    if own_native_threads() == threads:
        break
    time.sleep(0.01)
assert own_native_threads() == threads, (own_native_threads(), threads)

dhagapatch.unpatch_all()
assert (sqlite3.Connection, sqlite3.Cursor, sqlite3.connect) == real_types and early_connect is real_types[2]
assert type(sqlite3.connect(":memory:").execute("select 1")) is real_types[1]
sys.stdout.flush()
os._exit(0)  # the heart is a native thread's no more
