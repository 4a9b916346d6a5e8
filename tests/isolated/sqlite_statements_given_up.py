# run: -m dhagapatch --offload sqlite3
"""A statement whose caller is interrupted is interrupted too: it has ended, and changed nothing, when the caller goes on."""

import signal
import sqlite3
import time

import dhagapatch
from dhagapatch import inspect

# a statement that takes for ever, so that only an interrupt ends it
ENDLESS = "insert into t with recursive c(x) as (select 1 union all select x + 1 from c) select x from c where x < 0"
LONG = "with recursive c(x) as (select 1 union all select x + 1 from c) select x from c where x < 0 limit 1"


class GivenUp(Exception):
    pass


def fail(*_):
    raise GivenUp


signal.signal(signal.SIGALRM, fail)


def by_handler(call):
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    try:
        call()
    except GivenUp as error:
        assert error.__context__ is None
        return
    raise AssertionError


def by_timeout(call):
    try:
        with dhagapatch.Timeout(0.02):
            call()
    except TimeoutError:
        return
    raise AssertionError


def by_kill(call):
    dhaga = dhagapatch.spawn(call)
    while not inspect.stats()["offload"]["calls"]:
        time.sleep(0.001)
    dhaga.kill()
    while not dhaga.dead:
        time.sleep(0.001)


def check(way):
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.execute("create table t(a)")
    connection.execute("insert into t values (1)")
    connection.commit()
    cursor = connection.cursor()
    for call in (
        lambda: connection.execute(ENDLESS),
        lambda: cursor.execute(ENDLESS),
        lambda: cursor.executemany(ENDLESS + " or x = ?", [(-1,), (-2,)]),
        lambda: cursor.executescript(ENDLESS),
        lambda: cursor.execute(LONG),
    ):
        way(call)
        assert inspect.stats()["offload"]["calls"] == 0
        # at once: nothing runs before it
        assert connection.execute("select count(*) from t").fetchone() == (1,), way
        connection.rollback()
    # rows of an iteration that was given up are not lost
    rows = connection.execute("with recursive c(x) as (select 1 union all select x + 1 from c) select x from c limit 100000")
    got = []
    try:
        with dhagapatch.Timeout(0.01):
            for row in rows:
                got.append(row[0])
    except TimeoutError:
        pass
    got += [row[0] for row in rows]
    assert got == list(range(1, 100001)), (len(got), got[:3])
    connection.close()


for way in (by_handler, by_timeout, by_kill):
    check(way)
