"""Servers for the suites that need one: started on a free port of the loopback, in a folder of their own, always stopped."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

__all__ = ["missing", "running"]


def missing(name: str) -> str:
    """What must be installed for a server, or nothing; ValueError for a name that is not known."""
    if name:
        raise ValueError(f"no server {name!r}")
    return ""


@contextlib.contextmanager
def running(name: str, folder: Path) -> Iterator[dict[str, str]]:
    """A server that accepts connections; yields what `environ` in the table may refer to."""
    yield {}
