"""Start threads and join them, a batch at a time. An operation is one thread, started, run and joined."""

from __future__ import annotations

import argparse
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # no launcher puts the checkout's folder there

from benchmarks.programs.stopwatch import Stopwatch, report

FIRST = 10  # threads before the measured section


def work(results: list[int], number: int) -> None:
    """What each thread does: leave a trace of having run."""
    results[number] += number + 1


def spawn_and_join(results: list[int], batch: int) -> None:
    """A thread for each place in `results`; `batch` of them at once."""
    for first in range(0, len(results), batch):
        numbers = range(first, min(first + batch, len(results)))
        threads = [threading.Thread(target=work, args=(results, number)) for number in numbers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def main() -> int:
    """Run the benchmark; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=10_000, help="threads in all (default 10,000)")
    parser.add_argument("--batch", type=int, default=1, help="threads at once (default 1)")
    options = parser.parse_args()
    spawn_and_join([0] * FIRST, options.batch)
    results = [0] * options.threads
    watch = Stopwatch()
    watch.start()
    spawn_and_join(results, options.batch)
    watch.stop()
    wrong = [number for number, result in enumerate(results) if result != number + 1]
    errors = [f"thread {number} ran not once: {results[number]}" for number in wrong]
    return report(options.threads, watch, errors)


if __name__ == "__main__":
    sys.exit(main())
