"""What the benchmark programs share: a stopwatch for the measured section, and the one line that they print.

Standard library only, as the programs themselves: whoever launches them may patch it, or not.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from collections.abc import Sequence

SHOWN_ERRORS = 5


class Stopwatch:
    """CPU and wall seconds between `start` and `stop`; CPU of the whole process, all threads, user and system."""

    def __init__(self) -> None:
        self.cpu_seconds = 0.0
        self.wall_seconds = 0.0

    def start(self) -> None:
        """Begin the measured section."""
        self.wall_seconds = -time.monotonic()
        self.cpu_seconds = -time.process_time()

    def stop(self) -> None:
        """End the measured section."""
        self.cpu_seconds += time.process_time()
        self.wall_seconds += time.monotonic()


class Countdown:
    """`wait` returns once `count_down` was called `count` times; only the last call wakes anybody."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._lock = threading.Lock()
        self._over = threading.Event()

    def count_down(self) -> None:
        """One less to wait for."""
        with self._lock:
            self._left -= 1
            over = self._left == 0
        if over:
            self._over.set()

    def wait(self) -> None:
        """Block until nothing is left."""
        self._over.wait()


class Crowd:
    """Threads that get ready, wait for each other, and then work; what they do from `go` to `done` is what is measured."""

    def __init__(self, count: int) -> None:
        self.errors: list[str] = []
        self.ready = Countdown(count)
        self.go = threading.Event()
        self.done = Countdown(count)

    def measure(self, threads: Sequence[threading.Thread], watch: Stopwatch) -> None:
        """Run the threads, each of which counts down `ready`, waits for `go`, and counts down `done`, to their end."""
        for thread in threads:
            thread.start()
        self.ready.wait()
        watch.start()
        self.go.set()
        self.done.wait()
        watch.stop()
        for thread in threads:
            thread.join()


def peak_rss_bytes() -> int:
    """The most memory that this process had resident so far, in bytes.

    HAZARD: on Linux `ru_maxrss` starts from the parent's memory at the time of the fork, so the kernel's own mark
    is read where there is one.
    """
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def rss_bytes() -> int:
    """The memory that this process has resident now, in bytes; where the kernel does not tell, the most it had."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()
    except OSError:
        return peak_rss_bytes()


def allow_descriptors(count: int) -> None:
    """Raise the limit of open descriptors to `count`; SystemExit if the hard limit is lower."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        sys.exit(f"{count} descriptors are needed, and the hard limit is {hard}: raise it (ulimit -Hn), or use smaller sizes")
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def report(operations: int, watch: Stopwatch, errors: Sequence[str], memory_bytes: int | None = None) -> int:
    """Print the result as one line of JSON, errors to standard error; return the exit code, 1 for bad data.

    `memory_bytes` is by how much all operations together made the process grow, where that is measured.
    """
    for error in errors[:SHOWN_ERRORS]:
        print(error, file=sys.stderr)
    if len(errors) > SHOWN_ERRORS:
        print(f"... and {len(errors) - SHOWN_ERRORS} more", file=sys.stderr)
    result = {
        "operations": operations,
        "cpu_seconds": watch.cpu_seconds,
        "wall_seconds": watch.wall_seconds,
        "peak_rss_bytes": peak_rss_bytes(),
        "memory_bytes": memory_bytes,
        "correct": not errors,
    }
    print(json.dumps(result), flush=True)
    return 1 if errors else 0
