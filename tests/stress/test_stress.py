"""The scripts of this folder, for a few seconds, and for a minute."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from run_isolated import run_file

SCRIPT = Path(__file__).parent / "slices.py"
GAPS = Path(__file__).parent / "gaps.py"
WORST_GAP = 30.0  # milliseconds; or what threads have in the same minute


def run(seconds: float) -> None:
    run_file(SCRIPT, "-m", "dhagapatch", "--timeslice", "0.001", arguments=(str(seconds),), limit=seconds + 16)


def test_slices_of_a_millisecond_for_a_moment() -> None:
    run(3)


@pytest.mark.slow
def test_slices_of_a_millisecond_for_a_minute() -> None:
    run(60)


@pytest.mark.slow
@pytest.mark.parametrize("speedups", ["1", "0"])
def test_calls_in_a_loop_keep_no_others_waiting(speedups: str) -> None:
    native, here = (
        json.loads(run_file(GAPS, *options, arguments=("1",), limit=180, DHAGAPATCH_SPEEDUPS=speedups))
        for options in ((), ("-m", "dhagapatch"))
    )
    assert native.keys() == here.keys()
    table = {name: (gap, native[name]) for name, gap in here.items() if gap > max(WORST_GAP, 1.2 * native[name])}
    assert not table, f"milliseconds, here and natively, beside a load of {os.getloadavg()[0]}: {table}"
    print("worst", max(here.items(), key=lambda one: one[1]), "natively", max(native.items(), key=lambda one: one[1]))
