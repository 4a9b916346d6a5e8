"""Three threads that each block 0.3 s in a call take 0.3 s together, and a heartbeat beside them never misses 100 ms."""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from ahead import Ahead, run_group
from blocking import run_calls

HERE = Path(__file__).parent
LAUNCHERS = {"native": [], "dhagapatch": ["-m", "dhagapatch"]}
LEAST = 0.2  # seconds: a call that ends sooner did not block, and shows nothing
LIMIT = 150.0  # seconds for a module


def _run(module: str, launcher: str) -> dict[str, dict[str, Any]]:
    """What was measured of each call; of one that hung, the watchdog's report."""
    command = [sys.executable, *LAUNCHERS[launcher], str(HERE / "run_calls.py"), str(HERE / f"{module}.py")]
    results: dict[str, dict[str, Any]] = {}
    names = list(_calls(module))
    while names:
        done = run_group([*command, *names], LIMIT, {"PYTHONPATH": str(HERE.parent)})
        begun = None
        for line in done.stdout.splitlines():
            said = json.loads(line)
            begun = said.get("begin")
            if begun is None:
                results[said["call"]] = said
        if done.returncode == 0:
            break
        assert begun is not None, f"{' '.join(command)} exited with {done.returncode}:\n{done.stderr}"
        results[begun] = {"errors": [done.stderr[-12000:]]}
        names = names[names.index(begun) + 1 :]
    return results


@functools.cache
def _calls(module: str) -> tuple[str, ...]:
    return tuple(run_calls.load(str(HERE / f"{module}.py")).CALLS)


MODULES = sorted(path.stem for path in HERE.glob("calls_*.py"))


_runs = Ahead(_run, "module", "launcher", width=8)  # all at once


@pytest.mark.parametrize("launcher", LAUNCHERS)
@pytest.mark.parametrize(("module", "call"), [(module, call) for module in MODULES for call in _calls(module)])
def test_blocking(module: str, call: str, launcher: str, request: pytest.FixtureRequest) -> None:
    result = _runs.result(request)[call]
    assert not result["errors"], "\n".join(result["errors"])
    assert result["shortest"] >= LEAST, f"it does not block: {result}"
    assert result["total"] < run_calls.LONGEST, f"they wait for each other: {result}"
    assert result["gap"] < run_calls.LONGEST_GAP, f"others are kept waiting: {result}"
