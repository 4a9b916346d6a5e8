"""What nobody else wants: a thread takes and gives back a lock, or passes through a queue, without ever waiting.

An operation is what `--what` says; see the functions. Another thread exists and waits for something else all the time.
"""

from __future__ import annotations

import argparse
import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # no launcher puts the checkout's folder there

from benchmarks.programs.stopwatch import Stopwatch, report

FIRST = 1000  # operations before the measured section


def with_block(lock: Any, count: int) -> None:
    """Enter and leave."""
    for _ in range(count):
        with lock:
            pass


def condition(thing: threading.Condition, count: int) -> None:
    """Enter, notify nobody, leave."""
    for _ in range(count):
        with thing:
            thing.notify()


def event(thing: threading.Event, count: int) -> None:
    """Set, wait, clear."""
    for _ in range(count):
        thing.set()
        thing.wait()
        thing.clear()


def put_get(thing: Any, count: int) -> None:
    """Put a number and get it again; ValueError if it is another one."""
    for number in range(count):
        thing.put(number)
        if thing.get() != number:
            raise ValueError(f"another number than {number} came out of the queue")


WHAT: dict[str, tuple[Callable[[], Any], Callable[[Any, int], None]]] = {
    "lock": (threading.Lock, with_block),
    "rlock": (threading.RLock, with_block),
    "semaphore": (threading.Semaphore, with_block),
    "condition": (threading.Condition, condition),
    "event": (threading.Event, event),
    "queue": (queue.Queue, put_get),
    "simple-queue": (queue.SimpleQueue, put_get),
}


def main() -> int:
    """Run the benchmark; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", choices=WHAT, default="lock", help="default lock")
    parser.add_argument("--operations", type=int, default=1_000_000, help="default 1,000,000")
    options = parser.parse_args()
    make, use = WHAT[options.what]
    never = threading.Event()
    threading.Thread(target=never.wait, daemon=True).start()
    watch = Stopwatch()
    errors = []

    def measure() -> None:
        thing = make()
        try:
            use(thing, FIRST)
            watch.start()
            use(thing, options.operations)
            watch.stop()
        except ValueError as error:
            errors.append(str(error))

    thread = threading.Thread(target=measure)
    thread.start()
    thread.join()
    if watch.wall_seconds <= 0:
        errors.append("the measured section did not end")
    return report(options.operations, watch, errors)


if __name__ == "__main__":
    sys.exit(main())
