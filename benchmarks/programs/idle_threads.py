"""Threads that wait: how much resident memory each of them adds. An operation is one thread, started and waiting.

All wait for one event. CPU and wall time are those of starting them; memory that the threads' own list takes is counted
with them, as a program that has threads keeps them somewhere.
"""

from __future__ import annotations

import argparse
import gc
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # no launcher puts the checkout's folder there

from benchmarks.programs.stopwatch import Countdown, Stopwatch, report, rss_bytes

FIRST = 100  # threads before the measured section, which wait to its end: they fill what memory is free at the start


class Idlers:
    """Threads that wait for what never comes: at the end they go with the process, as waking so many takes long."""

    def __init__(self) -> None:
        self.never = threading.Event()
        self.threads: list[threading.Thread] = []

    def start(self, count: int) -> None:
        """Start so many and return when each has come to its wait."""
        ready = Countdown(count)

        def idle() -> None:
            ready.count_down()
            self.never.wait()

        for _ in range(count):
            # those that are no daemons are looked through, all of them, at each start, by some versions of Python
            thread = threading.Thread(target=idle, daemon=True)
            self.threads.append(thread)
            thread.start()
        ready.wait()


def main() -> int:
    """Run the benchmark; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=20_000, help="default 20,000")
    options = parser.parse_args()
    idlers = Idlers()
    watch = Stopwatch()
    idlers.start(FIRST)
    gc.collect()
    before = rss_bytes()
    watch.start()
    idlers.start(options.threads)
    watch.stop()
    memory = rss_bytes() - before
    return report(options.threads, watch, [], memory)


if __name__ == "__main__":
    sys.exit(main())
