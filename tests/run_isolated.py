"""Run one script in a fresh interpreter: patching can't be tried twice in one."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from ahead import run_group

LIMIT = 20.0 * float(os.environ.get("TEST_PATIENCE", "1"))  # seconds, then the watchdog ends the script
_GUARD = "from dhagapatch.testing import Watchdog; Watchdog({limit}); del Watchdog\n"


def run_isolated(source: str, *options: str, **environ: str) -> str:
    """The output of a piece of source; an AssertionError with all that it said if it fails or hangs."""
    return _run([*options, "-c", _GUARD.format(limit=LIMIT) + textwrap.dedent(source)], environ, LIMIT)


def run_file(path: Path, *options: str, arguments: Sequence[str] = (), limit: float = LIMIT, **environ: str) -> str:
    """The output of a script, likewise."""
    code = (
        f"{_GUARD.format(limit=limit)}import sys; sys.argv = sys.argv[1:]; sys.path[0] = {str(path.parent)!r}; "
        f"exec(compile(open({str(path)!r}, 'rb').read(), {str(path)!r}, 'exec', dont_inherit=True))"
    )
    return _run([*options, "-c", code, str(path), *arguments], environ, limit)


def _run(arguments: list[str], environ: dict[str, str], limit: float) -> str:
    done = run_group([sys.executable, *arguments], limit + 10, {**environ, "PYTHONFAULTHANDLER": "1"})
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
