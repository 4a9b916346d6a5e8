"""The list of deliberate faults is true; whether they are noticed is tried by `deliberate_faults.py` itself."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest
from deliberate_faults import ROOT, Fault, load, table

FAULTS = load()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_its_place_is_there(fault: Fault) -> None:
    broken = fault.broken((ROOT / fault.file).read_text("utf-8"))
    if not fault.is_compiled:
        ast.parse(broken)  # a fault is no syntax error
    for run in fault.runs():
        assert all((ROOT / part).exists() for part in run.split() if part.startswith("tests/")), run


def test_names_are_unique() -> None:
    assert not [name for name, count in Counter(fault.name for fault in FAULTS).items() if count > 1]


def test_the_map_has_the_list() -> None:
    text = (Path(__file__).parent / "README.md").read_text("utf-8")
    listed = text.partition("<!-- faults -->\n")[2].partition("\n<!-- end of faults -->")[0]
    assert listed == table(FAULTS), "put in what python tests/deliberate_faults.py --table prints"
