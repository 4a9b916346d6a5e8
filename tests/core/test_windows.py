"""What comes between two steps of the core loses nothing: see `windows`; nor what comes in finalizers: see the other two."""

from __future__ import annotations

from pathlib import Path

import pytest
from ahead import Ahead
from run_isolated import run_file

SCRIPTS = ("windows", "finalizers", "waiting_finalizers")
MODES = {"compiled": {}, "python": {"DHAGAPATCH_SPEEDUPS": "0"}, "poll": {"DHAGAPATCH_POLLER": "poll"}}


def _run(script: str, mode: str) -> str:
    return run_file(Path(__file__).parent / f"{script}.py", **MODES[mode])


_runs = Ahead(_run, "script", "mode")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("script", SCRIPTS)
def test_windows(script: str, mode: str, request: pytest.FixtureRequest) -> None:
    _runs.result(request)
