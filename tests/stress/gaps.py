"""Each call that can come through at once, in a loop for a second beside a thread that beats every 5 ms: the worst gap.

    python gaps.py SECONDS                   natively
    python -m dhagapatch gaps.py SECONDS     beside dhagas

Prints a line of JSON: the longest time between two beats, in milliseconds, by row of the table.
"""

import itertools
import json
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(sys.path[0]).parent / "isolated"))
from shared.calls_at_once import CALLS, LOCKS, close

SECONDS = float(sys.argv[1])
beats: list[float] = []
over = False


def beat() -> None:
    while not over:
        beats.append(time.monotonic())
        time.sleep(0.005)


def worst_gap(call, repeat: int = 50) -> float:
    end = time.monotonic() + SECONDS
    beats.clear()
    while time.monotonic() < end:
        for _ in range(repeat):
            call()
    marks = [end - SECONDS, *beats, time.monotonic()]
    return max(later - earlier for earlier, later in itertools.pairwise(marks)) * 1e3


def held(lock):
    def take() -> None:
        lock.acquire()
        lock.release()

    return take


def in_pairs(lock):
    def enter() -> None:
        with lock:
            pass

    return enter


calls = dict(CALLS)
for name, lock in LOCKS.items():
    calls |= {name: held(lock), f"{name}, with": in_pairs(lock)}
heart = threading.Thread(target=beat, daemon=True)
heart.start()
print(json.dumps({name: round(worst_gap(call), 1) for name, call in calls.items()}))
over = True
heart.join()
close()
