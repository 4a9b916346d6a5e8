# run: -m dhagapatch --track-locks
"""Dhagas that wait for each other in a ring are reported once, with where each lock was made, while others still run."""

import logging
import queue
import sys
import threading
import time

import dhagapatch
from dhagapatch import _real

records = []


class Keep(logging.Handler):
    def emit(self, record):
        records.append((record.getMessage(), record.levelname))


logger = logging.getLogger("dhagapatch.deadlock")
logger.addHandler(Keep())
logger.propagate = False
beats = []
stop = threading.Event()


def beat():
    while not stop.wait(0.02):
        beats.append(time.monotonic())


threading.Thread(target=beat).start()


def makes_first():
    return threading.Lock()


def makes_second():
    return threading.RLock()


def takes(one, other, timeout=-1):
    try:
        with one:
            time.sleep(0.02)
            if other.acquire(timeout=timeout):
                other.release()
    except dhagapatch.DhagaExit:
        pass


def ring(*locks, timeout=-1):
    pairs = zip(locks, locks[1:] + locks[:1], strict=True)
    threads = [threading.Thread(target=takes, args=(*pair, timeout), name=f"T{n}") for n, pair in enumerate(pairs)]
    for thread in threads:
        thread.start()
    return threads


def kill(threads):
    idents = {thread.ident for thread in threads}
    for dhaga in list(dhagapatch.get_hub().dhagas):
        if dhaga.ident in idents:
            dhaga.kill()
    for thread in threads:
        thread.join()


first, second, third = makes_first(), makes_second(), threading.Lock()
threads = ring(first, second, third)
time.sleep(0.5)
assert not records  # it must have stood for a second
waits = {one.name: one.waits_for for one in dhagapatch.dump().dhagas}
assert (waits["T2"].owner_name, waits["T0"].owner_name, waits["T1"].owner_name) == ("T0", "T1", "T2"), waits
assert waits["T2"].made.endswith("in makes_first") and waits["T2"].kind == "lock", waits["T2"]
time.sleep(2)
((text, level),) = records
assert level == "ERROR" and text.count("waits for <locked _thread.") == 3 and "MainThread" not in text, text
for words in ("in makes_first", "in makes_second", "made at", "held by T0", "held by T1", "held by T2", "in takes"):
    assert words in text, (words, text)
assert "T0, T1, T2 wait for each other" in text or "T1, T2, T0" in text or "T2, T0, T1" in text, text
before = len(beats)
time.sleep(1.3)
assert len(records) == 1 and len(beats) > before + 5  # once, and the others run
kill(threads)
records.clear()

# a ring with a time-out ends by itself, before it has stood for a second
threads = ring(makes_first(), makes_first(), timeout=0.3)
for thread in threads:
    thread.join()
time.sleep(1.2)
assert not records, records

# no ring: the lock's holder works on; a lock that another thread releases has no holder
lock = makes_first()


def works():
    with lock:
        time.sleep(1.5)


threads = [threading.Thread(target=works) for _ in range(2)]
for thread in threads:
    thread.start()
lock_of_two = threading.Lock()
lock_of_two.acquire()
assert lock_of_two._holder == threading.get_ident()
threading.Thread(target=lock_of_two.release).start()
assert lock_of_two.acquire(timeout=1)
for thread in threads:
    thread.join()
assert not records, records

# where a lock of the standard library's classes was made is where the program made the object
MADE = (
    (threading.Condition, lambda made: made._lock), (threading.Semaphore, lambda made: made._cond._lock),
    (threading.Event, lambda made: made._cond._lock), (queue.Queue, lambda made: made.mutex),
)  # fmt: skip
for make, lock_of in MADE:
    lock, line = lock_of(make()), sys._getframe().f_lineno
    assert lock._made == f"{sys._getframe().f_code.co_filename}:{line} in <module>", lock

# the same as natively for who looks: repr, release by another, and errors
plain = threading.Lock()
assert repr(plain).startswith("<unlocked _thread.lock object at")
try:
    plain.release()
    raise AssertionError
except RuntimeError as error:
    assert str(error) == "release unlocked lock"
assert plain.acquire() and not plain.acquire(False) and not plain.acquire(timeout=0.01) and plain.locked()
plain.release()
assert plain._holder == 0
with plain:
    assert plain._holder == threading.get_ident()
assert plain._holder == 0

# native threads hold and wait too
held = threading.Lock()
go_on = _real.allocate_lock()
go_on.acquire()


def native():
    with held:
        go_on.acquire()


ident = _real.start_new_thread(native, ())
time.sleep(0.1)
thread = threading.Thread(target=held.acquire, name="for a native thread")
thread.start()
time.sleep(0.05)
wait = next(one.waits_for for one in dhagapatch.dump().dhagas if one.name == "for a native thread")
assert wait.owner == ident, wait
go_on.release()
thread.join()

# nothing can run any more: the error names the places too
stop.set()
time.sleep(0.05)
one, other = makes_first(), makes_first()
threads = ring(one, other)
try:
    threads[0].join()
    raise AssertionError
except dhagapatch.DeadlockError as error:
    text = str(error)
    assert text.count("made at") >= 4 and "held by T1, made at" in text and "in makes_first" in text, text
kill(threads)

# off again
dhagapatch.patch_all(track_locks=False)
plain = threading.Lock()
with plain:
    assert not hasattr(plain, "_holder") and not hasattr(plain, "_made")
