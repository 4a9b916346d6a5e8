"""Child processes with a hard time limit, and what they cost."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_SECONDS = 0.02
POLL_SECONDS = 0.005
ABORT_SECONDS = 3.0
TAIL_LINES = 30


class ChildFailed(Exception):
    """A child process ended otherwise than it should, or not at all."""


@dataclass(frozen=True)
class Cost:
    """CPU seconds (user and system), peak resident MiB, peak OS threads if known."""

    cpu_seconds: float
    peak_mib: float
    threads: int | None


def combine(costs: Iterable[Cost]) -> Cost:
    """Several processes as one: CPU added up, peaks the highest of any."""
    every = list(costs)
    threads = [cost.threads for cost in every if cost.threads is not None]
    return Cost(
        sum(cost.cpu_seconds for cost in every),
        max((cost.peak_mib for cost in every), default=0.0),
        max(threads, default=None),
    )


class Child:
    """One child process, its output in a file, sampled while it runs."""

    def __init__(self, name: str, command: Sequence[str], output: Path) -> None:
        """Start it."""
        self.name = name
        self.output = output
        self.cost: Cost | None = None
        self._threads: int | None = None
        self._peak_kib = 0
        self._over = threading.Event()
        # On SIGABRT the child shows where it was stuck.
        environment = {**os.environ, "PYTHONFAULTHANDLER": "1"}
        with open(output, "wb") as file:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        self._reap(os.WNOHANG)
        return self._process.returncode is None

    def signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.running:
            os.kill(self._process.pid, number)

    def wait(self, seconds: float) -> int:
        """Wait for its end; return its exit code, negative for a signal.

        After `seconds` it is aborted, then killed, and ChildFailed is raised
        with the end of its output.
        """
        if self._wait(seconds):
            return int(self._process.returncode)
        self.signal(signal.SIGABRT)
        if not self._wait(ABORT_SECONDS):
            self.signal(signal.SIGKILL)
            self._wait(ABORT_SECONDS)
        raise ChildFailed(f"{self.name} did not end within {seconds:g} s\n{self.tail()}")

    def finish(self, seconds: float, expected: int = 0) -> str:
        """Wait as `wait` does; return its output, ChildFailed for another exit code."""
        code = self.wait(seconds)
        if code != expected:
            raise ChildFailed(f"{self.name} ended with {code}, not {expected}\n{self.tail()}")
        return self.text()

    def dispose(self) -> None:
        """Make sure it does not outlive the demo."""
        self.signal(signal.SIGKILL)
        self._wait(ABORT_SECONDS)

    def text(self) -> str:
        """All it has written."""
        return self.output.read_text(errors="replace")

    def tail(self) -> str:
        """The end of what it has written."""
        lines = self.text().splitlines()[-TAIL_LINES:]
        return "\n".join(f"    {self.name}| {line}" for line in lines)

    def _wait(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.running:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def _reap(self, flags: int) -> None:
        """Collect it with wait4, which tells its resource usage."""
        if self._process.returncode is not None:
            return
        pid, status, usage = os.wait4(self._process.pid, flags)
        if pid == 0:
            return
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self._over.set()
        self._sampler.join()
        peak = self._peak_kib * 1024
        if not peak:
            peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        self.cost = Cost(usage.ru_utime + usage.ru_stime, peak / (1 << 20), self._threads)

    def _sample(self) -> None:
        """Follow /proc: ru_maxrss would count the parent's memory at the time of the fork."""
        status = Path(f"/proc/{self._process.pid}/status")
        while not self._over.wait(SAMPLE_SECONDS):
            with contextlib.suppress(OSError, ValueError, IndexError):
                for line in status.read_text().splitlines():
                    if line.startswith("Threads:"):
                        self._threads = max(self._threads or 0, int(line.split()[1]))
                    elif line.startswith("VmHWM:"):
                        self._peak_kib = max(self._peak_kib, int(line.split()[1]))
