"""Let tests import the helpers beside them, and what stands beside the package."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # so a shell starts what runs in the background, and the programs that the tests start, and interrupt, would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

tempfile.gettempdir()  # where it is found stays, for pytest's own folders
_leftovers = tempfile.TemporaryDirectory(prefix="dhagapatch-tests-", ignore_cleanup_errors=True)
os.environ["TMPDIR"] = _leftovers.name  # what the programs that the tests start leave behind, killed ones too, goes with it


def pytest_report_header() -> str:
    from dhagapatch.core import compiled

    return f"dhagapatch: the compiled part is {'not ' if compiled.speedups is None else ''}in use"


def pytest_unconfigure() -> None:
    _leftovers.cleanup()
