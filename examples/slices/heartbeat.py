"""A heartbeat beside threads that compute: python -m dhagapatch --timeslice 0.01 examples/slices/heartbeat.py

Without --timeslice the heart stands still until the others are ready.
"""

import itertools
import threading
import time

SECONDS, EVERY = 1.0, 0.02


def compute(results):
    total = 0
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        total += 1
    results.append(total)


def main():
    results, beats = [], []
    threads = [threading.Thread(target=compute, args=(results,)) for _ in range(2)]

    def heart():
        while len(results) < len(threads):
            beats.append(time.monotonic())
            time.sleep(EVERY)

    threads_and_heart = [threading.Thread(target=heart), *threads]
    for thread in threads_and_heart:
        thread.start()
    for thread in threads_and_heart:
        thread.join()
    longest = max((after - before for before, after in itertools.pairwise(beats)), default=SECONDS)
    print(f"{len(beats)} beats in {SECONDS:g} s, the longest pause {longest * 1000:.0f} ms")


if __name__ == "__main__":
    main()
