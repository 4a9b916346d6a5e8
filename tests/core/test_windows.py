"""What comes between two steps of the core loses nothing: see `windows`."""

from __future__ import annotations

from pathlib import Path

import pytest
from ahead import Ahead
from run_isolated import run_file

SCRIPT = Path(__file__).parent / "windows.py"
MODES = {"compiled": {}, "python": {"DHAGAPATCH_SPEEDUPS": "0"}, "poll": {"DHAGAPATCH_POLLER": "poll"}}


def _run(mode: str) -> str:
    return run_file(SCRIPT, **MODES[mode])


_runs = Ahead(_run, "mode")


@pytest.mark.parametrize("mode", MODES)
def test_windows(mode: str, request: pytest.FixtureRequest) -> None:
    _runs.result(request)
