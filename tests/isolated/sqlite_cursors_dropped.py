# run: -m dhagapatch --offload sqlite3
"""A cursor that is dropped while a statement runs on its connection: nobody is held up, and it goes when that has ended."""

import sqlite3
import threading
import time
import weakref

from dhagapatch import inspect

ENDLESS = "with recursive c(x) as (select 1 union all select x + 1 from c) select x from c where x < 0"


class Cursor(sqlite3.Cursor):
    """One that may be referred to weakly."""


def run(told):
    try:
        connection.execute(ENDLESS)
    except sqlite3.OperationalError as error:
        told.append(str(error))


connection = sqlite3.connect(":memory:", check_same_thread=False)
cursor = connection.cursor(Cursor)
cursor.execute("select 1 union all select 2")  # under way: its statement is to be reset
cursor.fetchone()
gone = weakref.ref(cursor)
told = []
thread = threading.Thread(target=run, args=(told,))
thread.start()
while not inspect.stats()["offload"]["calls"]:
    time.sleep(0.001)
time.sleep(0.01)
del cursor  # in C this waits for the statement, which has no end
assert gone() is not None
connection.interrupt()
thread.join()
assert told == ["interrupted"], told
assert connection.execute("select 3").fetchone() == (3,)
assert gone() is None
connection.close()
