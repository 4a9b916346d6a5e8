"""`testing.explore`: what fails it, what it tells, that a token replays, that time is virtual; and that nothing is left."""

import _thread
import gc
import os
import queue
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dhagapatch
from dhagapatch.testing import ExploreError, Watchdog, explore

watchdog = Watchdog(18)
sys.path.insert(0, str(Path(sys.path[0]).parents[1] / "examples" / "races"))

try:
    explore(int)
except dhagapatch.DhagapatchError as error:
    assert "patch_all" in str(error)
else:
    raise AssertionError

dhagapatch.patch_all()

import abba
import double_checked
import lost_update
import missed_notify
from dhagapatch import _real
from dhagapatch.core import budget, own_native_threads
from dhagapatch.core.dhaga import Dhaga
from dhagapatch.core.hub import get_hub

functions = (
    time.monotonic, time.time, time.perf_counter, threading.excepthook, sys.unraisablehook, _real.monotonic, budget.TURN[0]
)  # fmt: skip
descriptors = len(os.listdir("/proc/self/fd"))
native = own_native_threads()


def fails(function, **options):
    try:
        explore(function, **options)
    except ExploreError as error:
        return error
    raise AssertionError(f"{function.__name__} has passed")


# the races are found, and replayed: the same interleaving each time
for example, words in (
    (lost_update, "the balance is 10"),
    (abba, "deadlock: no thread can ever run again"),
    (missed_notify, "to be notified"),
    (double_checked, "AttributeError in thread"),
):
    error = fails(example.broken)
    assert words in str(error) and error.token in str(error), error
    for _ in range(2):
        again = fails(example.broken, replay=error.token)
        assert again.interleaving == error.interleaving and again.token == error.token
    assert {step.thread for step in error.interleaving} >= {"main"} and len(error.interleaving) > 5
    assert explore(example.mended, runs=20).runs == 20
text = str(fails(lost_update.broken))
order = [line.split()[2:] for line in text.splitlines() if " deposit " in line]
assert order[0] == order[1] or order[0] == order[2], text  # both read before the second writes
assert "thread 1 (deposit):" in text and "balance = self.balance" in text
assert isinstance(fails(lost_update.broken).__cause__, AssertionError)
assert fails(lost_update.broken, seed=5).token.startswith("5:")

# what is right passes, and is interrupted all the same
orders = set()


def two_lines():
    seen = []

    def work(name):
        seen.append(name)
        seen.append(name)

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    orders.add("".join(seen))


for seed in range(12):
    explore(two_lines, runs=60, seed=seed)
    if len(orders) == 6:
        break
assert orders == {"aabb", "abab", "abba", "bbaa", "baba", "baab"}, orders


# virtual time
def hours():
    before = time.monotonic(), time.time(), time.perf_counter()
    time.sleep(3600)
    after = time.monotonic(), time.time(), time.perf_counter()
    assert all(3600 <= end - begin < 3601 for begin, end in zip(before, after, strict=True)), (before, after)
    assert 3600 * 10**9 <= time.monotonic_ns() - before[0] * 1e9 < 3601 * 10**9
    assert not threading.Event().wait(100) and time.monotonic() - before[0] >= 3700
    try:
        queue.Queue().get(timeout=50)
    except queue.Empty:
        pass
    order = []
    threads = [threading.Thread(target=lambda n=n: (time.sleep(n), order.append(n))) for n in (3, 1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert order == [1, 2, 3], order
    end = time.monotonic() + 1
    flag = []
    threading.Timer(0.5, flag.append, [1]).start()
    while time.monotonic() < end:  # who looks at the time again and again lets it pass
        pass
    assert flag


began = _real.monotonic()
beats = []
stop = False


def beat():
    while not stop:
        beats.append(time.monotonic())
        time.sleep(0.01)


heart = threading.Thread(target=beat)
heart.start()
explore(hours, runs=6)
assert _real.monotonic() - began < 15
assert beats and max(beats) < began + 20, "others are told the real time"


# what fails
def thread_fails():
    threading.Thread(target=lambda: 1 // 0).start()


assert "ZeroDivisionError in thread 1" in str(fails(thread_fails))


def raw_thread_fails():
    _thread.start_new_thread(lambda: 1 // 0, ())
    time.sleep(1)


assert "ZeroDivisionError in a thread" in str(fails(raw_thread_fails))


def ends_silently():
    threading.Thread(target=sys.exit).start()


explore(ends_silently, runs=5)


def waits_for_ever():
    threading.Event().wait()


assert "deadlock" in str(fails(waits_for_ever))


def leaves_a_thread():
    threading.Thread(target=waits_for_ever).start()


assert "deadlock" in str(fails(leaves_a_thread))


def leaves_daemons():
    def tick():
        while True:
            time.sleep(1)

    threading.Thread(target=tick, daemon=True).start()
    threading.Thread(target=waits_for_ever, daemon=True).start()


explore(leaves_daemons, runs=5)


def never_ends():
    number = 0
    while True:
        number += 1


assert "no end in sight after 500 points" in str(fails(never_ends, max_points=500))


def spins():
    flag = []
    threading.Thread(target=flag.append, args=(1,)).start()
    while not flag:
        pass


explore(spins, runs=20)


# pools and queues, and threads that clean up when a run is over
cleaned = []


def pool():
    with ThreadPoolExecutor(3) as executor:
        assert sorted(executor.map(lambda n: n * n, range(5))) == [0, 1, 4, 9, 16]


explore(pool, runs=10)


def cleans_up():
    def work():
        try:
            waits_for_ever()
        finally:
            cleaned.append(1)

    threading.Thread(target=work).start()
    raise ValueError("at once")


error = fails(cleans_up, runs=5)
assert "ValueError in main: at once" in str(error) and cleaned in ([], [1])


# operations on locks count too, also those of the standard library's queues
def uses_a_queue():
    jobs = queue.Queue()
    jobs.put(1)
    assert jobs.get() == 1


found = explore(uses_a_queue, runs=1)
assert found.points >= len(found.interleaving) + 2, found

# only the program's own code is interrupted, and what is asked for
def uses_random():
    random.Random(1).shuffle([1, 2, 3])


assert all(step.function == "uses_random" for step in explore(uses_random, runs=2).interleaving)
assert any(step.function == "shuffle" for step in explore(uses_random, runs=2, modules=["random"]).interleaving)

# errors
for options, words in (({"replay": "x"}, "token"), ({"replay": "1:2"}, "token"), ({"runs": 0}, "at least one")):
    try:
        explore(int, **options)
    except dhagapatch.DhagapatchError as error:
        assert words in str(error)
    else:
        raise AssertionError(options)


def nested():
    explore(int)


assert "another exploration" in str(fails(nested))

# a kill that finds a thread between two turns ends it as any kill does
ends = []


def killed_while_it_gives_way():
    handles = []

    def gives_way():
        handles.append(dhagapatch.current_dhaga())
        try:
            for _ in range(200):
                os.sched_yield()
        except BaseException as killed:
            ends.append(type(killed).__name__)
            raise

    thread = threading.Thread(target=gives_way)
    thread.start()
    while not handles:
        os.sched_yield()
    handles[0].kill()
    thread.join()


explore(killed_while_it_gives_way, runs=20)
assert ends == ["DhagaExit"] * 20, ends

# nothing is left
stop = True
heart.join()
error = again = None
gc.collect()
assert functions == (
    time.monotonic, time.time, time.perf_counter, threading.excepthook, sys.unraisablehook, _real.monotonic, budget.TURN[0]
)  # fmt: skip
assert threading._time is time.monotonic and gc.isenabled()
left = [one for one in gc.get_objects() if type(one) is Dhaga and one not in get_hub().spare]
assert not left, left
assert threading.active_count() == 1, threading.enumerate()
for _ in range(100):
    if own_native_threads() <= native + 1:
        break
    time.sleep(0.01)
assert own_native_threads() <= native + 1
assert len(os.listdir("/proc/self/fd")) <= descriptors + 4  # of the main hub
