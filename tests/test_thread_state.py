"""The table of what the interpreter keeps for an OS thread lists the fields of its header, and names tests that are there."""

from __future__ import annotations

import ast
import re
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

import pytest

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "reference" / "thread-state.md"
VERSION = sys.version_info[:2]
NOT_AT_A_SWITCH = ("critical_section", "previous_executor", "current_executor", "jit_exit")
CARRIERS = {"greenlet", "dhagapatch", "dhagapatch, compiled", "shared"}


class Row(NamedTuple):
    """One field, and the versions that have it, the first and the last."""

    field: str
    since: tuple[int, int]
    last: tuple[int, int]
    late: bool  # only later releases of the first have it
    carrier: str
    why: str
    tests: list[str]


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return int(major), int(minor)


def _rows() -> list[Row]:
    rows = []
    for line in PAGE.read_text().splitlines():
        if line.startswith("| `"):
            field, versions, carrier, why, tests = (cell.strip() for cell in line.strip("|").split("|"))
            since, _, last = versions.partition(" to ")
            shown_by = re.findall("`(.*?)`", tests)
            late = since.endswith(" (late)")
            since = since.removesuffix(" (late)")
            rows.append(Row(field.strip("`"), _version(since), _version(last or since), late, carrier, why, shown_by))
    return rows


ROWS = _rows()


def fields_of(header: str) -> set[str]:
    """The names of the fields of `struct _ts`; an inner structure counts as one."""
    found = re.search(r"^struct _ts \{(.*?)^\};", header, re.S | re.M)
    assert found is not None
    body = re.sub(r"/\*.*?\*/|//[^\n]*|^\s*#[^\n]*$", "", found.group(1), flags=re.S | re.M)
    body = re.sub(r"struct\s*\{[^}]*\}", "struct inner", body)
    names = (re.search(r"\(\*(\w+)\)\(|(\w+)\s*$", part.strip()) for part in body.split(";"))
    return {name.group(1) or name.group(2) for name in names if name is not None}


def test_the_table_has_the_fields_of_this_interpreter() -> None:
    header = Path(sysconfig.get_paths()["include"]) / "cpython" / "pystate.h"
    there = fields_of(header.read_text())
    listed = {row.field for row in ROWS if row.since <= VERSION <= row.last}
    came_late = {row.field for row in ROWS if row.late and row.since == VERSION}
    assert listed - came_late == there - came_late


def test_a_field_that_is_left_out_is_missed() -> None:
    header = "struct _ts {\n int one; /* two; */\n struct {\n int three:1;\n } four;\n#ifdef X\n int *five;\n#endif\n"
    assert fields_of(header + " void (*six)(void *);\n};\n") == {"one", "four", "five", "six"}


def test_each_field_stands_once() -> None:
    assert len({row.field for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.field)
def test_a_row_says_who_carries_it_and_what_shows_it(row: Row) -> None:
    assert row.carrier in CARRIERS and row.why
    assert row.tests or row.carrier == "shared" or row.field in NOT_AT_A_SWITCH
    for test in row.tests:
        body, _, case = test.partition(": ")
        tree = ast.parse((HERE / "twin" / "bodies" / f"{body}.py").read_text())
        assert case in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, test
