"""Hand-offs between dhagas of two hubs and native threads: none is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from run_isolated import run_file

SCRIPT = Path(__file__).parent / "handoffs.py"


def test_handoffs() -> None:
    run_file(SCRIPT, arguments=["60000", "50000"])


@pytest.mark.slow
def test_a_million_handoffs() -> None:
    out = run_file(SCRIPT, arguments=["2200000", "1000000"], limit=240)
    passed = [int(line.split()[3]) for line in out.splitlines() if "hand-offs" in line]
    assert sum(passed) > 1_000_000, out
