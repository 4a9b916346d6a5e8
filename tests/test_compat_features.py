"""The feature table: every script is in it, dhagapatch says yes to each, and what hangs or fails is a no."""

from __future__ import annotations

from pathlib import Path

import pytest

from compat import feature_table
from compat.feature_table import PAGE, SECTIONS, Answer, ask, cell, page, questions


@pytest.mark.parametrize("name", questions())
def test_dhagapatch_does_it(name: str) -> None:
    assert ask(name, "dhagapatch") == Answer("yes")


@pytest.mark.parametrize(
    ("program", "answer"),
    [
        ("from _runtime import answer; answer(1)", "yes"),
        ("from _runtime import answer; answer([])", "no"),
        ("import os; os._exit(0)", "no (crashes)"),
        ("raise LookupError('nothing')", "no (LookupError)"),
        ("import os; os.abort()", "no (crashes)"),
        ("import faulthandler, time, _runtime; faulthandler.dump_traceback_later(0.2, exit=True); time.sleep(9)", "no (hangs)"),
    ],
)
def test_what_is_no_answer_is_a_no(program: str, answer: str, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(program)
    assert str(ask("script", "native", tmp_path)) == answer


def test_every_script_asks_something() -> None:
    asked = questions()
    assert all(text.endswith(".") and "|" not in text for text in asked.values()), asked


def test_a_script_outside_the_table_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SECTIONS, "Set up", "")
    with pytest.raises(ValueError, match="no_compiler"):
        questions()


def test_the_page_has_all_rows() -> None:
    asked = questions()
    text = page(asked, {name: {one: {"3.11.7": Answer("yes")} for one in feature_table.RUNTIMES} for name in asked})
    assert text.count("| **yes** | **yes** | **yes** |") == len(asked)
    rows = [line.partition(" | ")[0] for line in PAGE.read_text("utf-8").splitlines() if "`" in line and line.startswith("| ")]
    assert rows == [line.partition(" | ")[0] for line in text.splitlines() if "`" in line and line.startswith("| ")], "run --docs"


def test_a_cell_tells_pythons_apart() -> None:
    yes, hangs = Answer("yes"), Answer("no", "hangs")
    assert cell({"3.11.7": yes, "3.15.2": yes}) == "**yes**"
    assert cell({"3.11.7": hangs, "3.13.0": yes, "3.15.2": hangs}) == "no (hangs) on 3.11, 3.15; **yes** on 3.13"
