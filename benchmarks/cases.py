"""The table of what is measured: literals only. A later benchmark is a program in `programs/` and a row here."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

__all__ = ["CASES", "PROGRAMS", "Case"]

PROGRAMS = Path(__file__).parent / "programs"


class Case(NamedTuple):
    """A program with sizes; `quick` are the smaller sizes of `--quick`."""

    name: str
    program: str  # programs/<program>.py
    operation: str  # what is counted
    arguments: tuple[str, ...]
    quick: tuple[str, ...]


CASES = (
    Case("echo-1", "echo", "round trip",
         ("--connections", "1", "--trips", "20000"), ("--connections", "1", "--trips", "4000")),
    Case("echo-100", "echo", "round trip",
         ("--connections", "100", "--trips", "300"), ("--connections", "100", "--trips", "50")),
    Case("echo-1000", "echo", "round trip",
         ("--connections", "1000", "--trips", "60"), ("--connections", "1000", "--trips", "6")),
    Case("spawn-join", "spawn_join", "thread",
         ("--threads", "10000", "--batch", "1"), ("--threads", "2000", "--batch", "1")),
    Case("spawn-join-100", "spawn_join", "thread",
         ("--threads", "10000", "--batch", "100"), ("--threads", "2000", "--batch", "100")),
    Case("queue-ping-pong", "queue_ping_pong", "round trip",
         ("--trips", "50000"), ("--trips", "10000")),
)  # fmt: skip
