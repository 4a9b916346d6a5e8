"""Random calls say the same natively and patched, and a storm of them ends: `calls.py`, a few seeds; more with FUZZ_SEEDS."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from ahead import run_group

CALLS = Path(__file__).parent / "calls.py"
SEEDS = range(1, 1 + int(os.environ.get("FUZZ_SEEDS", "3")))
STEPS = os.environ.get("FUZZ_STEPS", "1500")
LIMIT = 120.0  # seconds for one run: it takes one or two
MODES = {"compiled": {}, "python": {"DHAGAPATCH_SPEEDUPS": "0"}, "slices": {"DHAGAPATCH_TIMESLICE": "0.005"}}


def _run(*command: str, **environ: str) -> list[str]:
    done = run_group([sys.executable, *command], LIMIT, {**environ, "PYTHONFAULTHANDLER": "1"})
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stderr[-8000:]}"
    return done.stdout.splitlines()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("mode", MODES)
def test_random_calls(mode: str, seed: int) -> None:
    native = _run(str(CALLS), str(seed), STEPS)
    patched = _run("-m", "dhagapatch", str(CALLS), str(seed), STEPS, **MODES[mode])
    assert native[-1] == "done" and len(native) > int(STEPS)
    assert patched == native
