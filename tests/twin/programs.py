"""Child programs of the cases: run under the same launcher as the case itself."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import Any

import dhagapatch

__all__ = ["launcher", "run_program", "said"]


def launcher(*options: str) -> list[str]:
    """The command that starts a Python program as this one was started: plain, or patched."""
    return [sys.executable, *options, *(["-m", "dhagapatch"] if dhagapatch.is_patched("thread") else [])]


def run_program(source: str, *args: str, options: tuple[str, ...] = (), **kwargs: Any) -> subprocess.CompletedProcess[str]:
    """Run `source` as a program; what it said on standard output and standard error, and its exit code."""
    command = [*launcher(*options), "-c", textwrap.dedent(source), *args]
    kwargs.setdefault("timeout", 10)
    if "input" not in kwargs:
        kwargs.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(command, capture_output=True, text=True, **kwargs)


def said(t: Any, label: str, source: str, *args: str, **kwargs: Any) -> None:
    """Run `source` and note all that it said and its exit code."""
    done = run_program(source, *args, **kwargs)
    t.note(label, done.returncode, done.stdout.splitlines(), done.stderr.splitlines())
