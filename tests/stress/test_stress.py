"""The scripts of this folder, for a few seconds, and for a minute."""

from __future__ import annotations

from pathlib import Path

import pytest
from run_isolated import run_file

SCRIPT = Path(__file__).parent / "slices.py"


def run(seconds: float) -> None:
    run_file(SCRIPT, "-m", "dhagapatch", "--timeslice", "0.001", arguments=(str(seconds),), limit=seconds + 16)


def test_slices_of_a_millisecond_for_a_moment() -> None:
    run(3)


@pytest.mark.slow
def test_slices_of_a_millisecond_for_a_minute() -> None:
    run(60)
