"""A server program in a process of its own: its start, what it says of its costs, and its end."""

from __future__ import annotations

import argparse
import json
import select
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from benchmarks.environment import ROOT

__all__ = ["Costs", "Server", "add_program", "print_sample"]

START_SECONDS = 30.0
END_SECONDS = 10.0


@dataclass(frozen=True)
class Costs:
    """What a server has cost so far."""

    cpu_seconds: float
    rss_bytes: int
    peak_rss_bytes: int


class Server:
    """A program that serves on loopback and tells its costs on a second port; see `programs/status.py`."""

    def __init__(self, prefix: Sequence[str], program: str, *arguments: str) -> None:
        """Start it, with `python prefix program arguments`, and wait until it serves; OSError if it does not."""
        command = [sys.executable, *prefix, program, *arguments]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], START_SECONDS)
        line = self._process.stdout.readline() if readable else ""
        try:
            ports = json.loads(line)
        except ValueError:
            self._process.kill()
            self._process.wait()
            raise OSError(f"the server did not start: it wrote {line!r}") from None
        self.address = ("127.0.0.1", int(ports["port"]))
        self._status = socket.create_connection(("127.0.0.1", ports["status"]))
        self._stream = self._status.makefile("rw", encoding="ascii")

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def costs(self) -> Costs:
        """What it has cost so far; ValueError if it does not answer."""
        self._stream.write("?\n")
        self._stream.flush()
        return Costs(**json.loads(self._stream.readline()))

    def end(self) -> None:
        """Let it end by itself, or kill it."""
        self._stream.close()
        self._status.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def add_program(parser: argparse.ArgumentParser) -> None:
    """The options that say what is started, and how."""
    parser.add_argument("--program", required=True, metavar="FILE", help="the program")
    parser.add_argument("prefix", nargs="*", help="what stands between `python` and the program, after `--`")


def print_sample(
    operations: int, cpu_seconds: float, wall_seconds: float, peak_rss_bytes: int,
    memory_bytes: int | None = None, correct: bool = True,
) -> None:  # fmt: skip
    """The line with which the programs end."""
    result = {
        "operations": operations,
        "cpu_seconds": cpu_seconds,
        "wall_seconds": wall_seconds,
        "peak_rss_bytes": peak_rss_bytes,
        "memory_bytes": memory_bytes,
        "correct": correct,
    }
    print(json.dumps(result), flush=True)
