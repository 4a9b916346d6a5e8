"""Threads count, each in its own attribute of one `threading.local`. An operation is one read and one write of it."""

from __future__ import annotations

import argparse
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # no launcher puts the checkout's folder there

from benchmarks.programs.stopwatch import Countdown, Stopwatch, report


class Counters:
    """A number for each thread, and what the threads made of it."""

    def __init__(self, threads: int, steps: int) -> None:
        self.own = threading.local()
        self.steps = steps
        self.ready = Countdown(threads)
        self.go = threading.Event()
        self.errors: list[str] = []

    def count(self, number: int) -> None:
        """One thread: count from its own start."""
        own = self.own
        own.value = start = number * self.steps
        self.ready.count_down()
        self.go.wait()
        for _ in range(self.steps):
            own.value = own.value + 1
        if own.value != start + self.steps:
            self.errors.append(f"thread {number} counted from {start} to {own.value} in {self.steps} steps")


def main() -> int:
    """Run the benchmark; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=10, help="default 10")
    parser.add_argument("--steps", type=int, default=200_000, help="of each thread (default 200,000)")
    options = parser.parse_args()
    counters = Counters(options.threads, options.steps)
    threads = [threading.Thread(target=counters.count, args=(number,)) for number in range(options.threads)]
    for thread in threads:
        thread.start()
    counters.ready.wait()
    watch = Stopwatch()
    watch.start()
    counters.go.set()
    for thread in threads:
        thread.join()
    watch.stop()
    return report(options.threads * options.steps, watch, counters.errors)


if __name__ == "__main__":
    sys.exit(main())
