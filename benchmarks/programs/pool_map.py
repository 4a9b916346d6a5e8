"""`ThreadPoolExecutor.map` over small calls. An operation is one call: submitted, run by a worker, its result fetched."""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # no launcher puts the checkout's folder there

from benchmarks.programs.stopwatch import Stopwatch, report

FIRST = 200  # calls before the measured section: enough to start every worker


def square(number: int) -> int:
    """What the workers do."""
    return number * number


def main() -> int:
    """Run the benchmark; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=16, help="default 16")
    parser.add_argument("--calls", type=int, default=10_000, help="default 10,000")
    options = parser.parse_args()
    watch = Stopwatch()
    with ThreadPoolExecutor(options.workers) as pool:
        list(pool.map(square, range(FIRST)))
        watch.start()
        results = list(pool.map(square, range(options.calls)))
        watch.stop()
    expected = [number * number for number in range(options.calls)]
    return report(options.calls, watch, [] if results == expected else ["the results are not those of the calls"])


if __name__ == "__main__":
    sys.exit(main())
