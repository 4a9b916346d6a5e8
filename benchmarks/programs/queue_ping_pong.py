"""Two threads hand numbers back and forth through two queues. An operation is one round trip: two puts, two gets."""

from __future__ import annotations

import argparse
import queue
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # no launcher puts the checkout's folder there

from benchmarks.programs.stopwatch import Stopwatch, report

FIRST = 10  # round trips before the measured section


class Table:
    """The two queues, and what went wrong."""

    def __init__(self) -> None:
        self.there: queue.Queue[int | None] = queue.Queue()
        self.back: queue.Queue[int] = queue.Queue()
        self.errors: list[str] = []

    def answer(self) -> None:
        """The second thread: give each number back negated, until None comes."""
        while (number := self.there.get()) is not None:
            self.back.put(-number)

    def play(self, trips: int) -> None:
        """The first thread: send the numbers up to `trips`, one after the other; note a wrong answer."""
        for number in range(1, trips + 1):
            self.there.put(number)
            answer = self.back.get()
            if answer != -number:
                self.errors.append(f"{answer} came back for {number}")

    def measure(self, trips: int, watch: Stopwatch) -> None:
        """The first thread's whole life."""
        self.play(FIRST)
        watch.start()
        self.play(trips)
        watch.stop()
        self.there.put(None)


def main() -> int:
    """Run the benchmark; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trips", type=int, default=50_000, help="round trips (default 50,000)")
    options = parser.parse_args()
    table = Table()
    watch = Stopwatch()
    threads = [
        threading.Thread(target=table.answer),
        threading.Thread(target=table.measure, args=(options.trips, watch)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if watch.wall_seconds <= 0:
        table.errors.append("the measured section did not end")
    return report(options.trips, watch, table.errors)


if __name__ == "__main__":
    sys.exit(main())
