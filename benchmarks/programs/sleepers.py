"""Start threads that all sleep, and join them. An operation is one thread: started, put to sleep, woken, joined."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # no launcher puts the checkout's folder there

from benchmarks.programs.stopwatch import Stopwatch, report

FIRST = 10  # threads before the measured section


def start_and_join(count: int, seconds: float) -> list[float]:
    """Start `count` threads that sleep, join all; for how long each slept."""
    slept = [0.0] * count

    def sleep(number: int) -> None:
        begin = time.monotonic()
        time.sleep(seconds)
        slept[number] = time.monotonic() - begin

    threads = [threading.Thread(target=sleep, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return slept


def main() -> int:
    """Run the benchmark; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=5000, help="default 5,000")
    parser.add_argument("--seconds", type=float, default=1.0, help="that each sleeps (default 1)")
    options = parser.parse_args()
    start_and_join(FIRST, 0.001)
    watch = Stopwatch()
    watch.start()
    slept = start_and_join(options.threads, options.seconds)
    watch.stop()
    early = [f"a thread slept {seconds} s" for seconds in slept if seconds < options.seconds * 0.99]
    return report(options.threads, watch, early)


if __name__ == "__main__":
    sys.exit(main())
