"""The state machines, for the real primitives (the model is right) and for the green ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from ahead import Ahead
from run_isolated import run_file

MACHINES = ("Lock", "RLock", "Semaphore", "Condition", "Queue", "SimpleQueue")
SCRIPT = Path(__file__).parent / "machines.py"


def _run(machine: str, launcher: str) -> str:
    options = ("-m", "dhagapatch") if launcher == "dhagapatch" else ()
    return run_file(SCRIPT, *options, arguments=[machine, "60" if launcher == "dhagapatch" else "15"])


_runs = Ahead(_run, "machine", "launcher")


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("launcher", ["native", "dhagapatch"])
def test_machine(machine: str, launcher: str, request: pytest.FixtureRequest) -> None:
    _runs.result(request)
