"""Run one script in a fresh interpreter: patching can't be tried twice in one."""

from __future__ import annotations

import subprocess
import sys
import textwrap


def run_isolated(source: str, *options: str, timeout: float = 30) -> str:
    """The script's standard output; an AssertionError with its errors if it fails or hangs."""
    prelude = "import faulthandler; faulthandler.dump_traceback_later(20, exit=True)\n"
    done = subprocess.run(
        [sys.executable, *options, "-c", prelude + textwrap.dedent(source)],
        capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
