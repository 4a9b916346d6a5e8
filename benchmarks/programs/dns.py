"""Threads that look up "localhost". An operation is one `socket.getaddrinfo`."""

from __future__ import annotations

import argparse
import socket
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # no launcher puts the checkout's folder there

from benchmarks.programs.stopwatch import Stopwatch, report

FIRST = 20  # look-ups before the measured section, of each thread


class LookUps:
    """The threads' work, and what went wrong."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def look_up(self, count: int) -> None:
        """One thread: look the name up, again and again; note an answer without the loopback address."""
        try:
            for _ in range(count):
                answers = socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)
                if not any(answer[4][0] in ("127.0.0.1", "::1") for answer in answers):
                    self.errors.append(f"localhost is {answers}")
        except OSError as error:
            self.errors.append(repr(error))

    def run(self, threads: int, count: int) -> None:
        """So many threads with so many look-ups each."""
        every = [threading.Thread(target=self.look_up, args=(count,)) for _ in range(threads)]
        for thread in every:
            thread.start()
        for thread in every:
            thread.join()


def main() -> int:
    """Run the benchmark; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=10, help="default 10")
    parser.add_argument("--count", type=int, default=200, help="look-ups of each thread (default 200)")
    options = parser.parse_args()
    look_ups = LookUps()
    look_ups.run(options.threads, FIRST)
    watch = Stopwatch()
    watch.start()
    look_ups.run(options.threads, options.count)
    watch.stop()
    return report(options.threads * options.count, watch, look_ups.errors)


if __name__ == "__main__":
    sys.exit(main())
