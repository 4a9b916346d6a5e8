"""Threads that do nothing but let each other run: `time.sleep(0)` in a loop. An operation is one such call."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # no launcher puts the checkout's folder there

from benchmarks.programs.stopwatch import Countdown, Stopwatch, report


def main() -> int:
    """Run the benchmark; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=10, help="default 10")
    parser.add_argument("--calls", type=int, default=20_000, help="of each thread (default 20,000)")
    options = parser.parse_args()
    ready = Countdown(options.threads)
    go = threading.Event()
    made = [0] * options.threads

    def sleep(number: int) -> None:
        ready.count_down()
        go.wait()
        for _ in range(options.calls):
            time.sleep(0)
        made[number] = options.calls

    threads = [threading.Thread(target=sleep, args=(number,)) for number in range(options.threads)]
    for thread in threads:
        thread.start()
    ready.wait()
    watch = Stopwatch()
    watch.start()
    go.set()
    for thread in threads:
        thread.join()
    watch.stop()
    return report(sum(made), watch, [] if all(made) else ["a thread did not come to its end"])


if __name__ == "__main__":
    sys.exit(main())
