# run: -m dhagapatch
"""Every row of the table that can come through at once lets others have a turn now and then; so no clock is asked."""

import sys
import threading
import time

from shared.calls_at_once import CALLS, LOCKS, close

from dhagapatch.core.budget import CALL, UNITS
from dhagapatch.monkey.table import REPLACE, SET, TABLE

# what waits in any case, for a child, a signal, a terminal; what asks a native thread; what no loop can call again and again
NOT_AT_ONCE = (
    "posix.wait", "posix.system", "posix.sync", "posix.fork", "_signal.pause", "_signal.sig", "_signal.set_wakeup_fd",
    "builtins.input",
    "_socket.", "socket.socket.sendto", "_multiprocessing.", "sys.std", "sys._", "sys.excepthook", "_thread.", "readline.",
    "socket.socket.timeout", "socket.socket.__init__", "threading._", "asyncio.", "ssl.", "bdb.", "getpass.",
)  # fmt: skip

turns = 0
done = False


def counts() -> None:
    global turns
    while not done:
        turns += 1
        time.sleep(0)


def turns_during(call, times: int) -> int:
    before = turns
    for _ in range(times):
        call()
    return turns - before


missing = []
for row in TABLE:
    name = f"{row.module}.{row.name}"
    version = row.since <= sys.version_info[:2] < row.until
    pays = version and row.cost and row.action in (REPLACE, SET) and row.group not in ("children", "sqlite3", "traceback")
    if pays and name not in CALLS and name not in LOCKS and not name.startswith(NOT_AT_ONCE):
        missing.append(name)
assert not missing, missing

counter = threading.Thread(target=counts)
counter.start()
TIMES = 5 * UNITS // CALL
for name, call in CALLS.items():
    found = turns_during(call, TIMES)
    assert found >= 3, (name, found)
for name, one in LOCKS.items():
    for call in (one.acquire, one.__enter__):

        def take(call=call, one=one) -> None:
            call()
            one.release()

        assert turns_during(take, 5 * UNITS) >= 3, name

done = True
counter.join()
close()
