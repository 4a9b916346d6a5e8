"""The runner of other people's suites: outcomes, hangs and crashes, and the strict ledger."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from compat import modules, report, results
from compat.expectations import Expectation, judge, read
from compat.launchers import LAUNCHERS
from compat.results import Outcome, Result
from compat.supervise import Limits, run_module

SAMPLE = """
import os, time, unittest

class Sample(unittest.TestCase):
    def test_a_passes(self): pass
    def test_b_fails(self): self.fail("so")
    def test_c_skips(self): self.skipTest("why")
    @unittest.expectedFailure
    def test_d_is_known(self): self.fail()
    def test_e_subtests(self):
        for n in range(3):
            with self.subTest(n=n): self.assertNotEqual(n, 1)
    def test_f_crashes(self): os._exit(7)
    def test_g_hangs(self): time.sleep(60)
    def test_h_left_out(self): self.fail()
    def test_i_passes(self): pass

class Fixture(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise ValueError("fixture")
    def test_never_begins(self): pass
"""


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module to run, in a package that stands in for the interpreter's."""
    package = tmp_path / "test"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "support.py").write_text("use_resources = None\ndef record_original_stdout(stream): pass\n")
    (package / "test_sample.py").write_text(SAMPLE)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parents[1]}")
    return "test_sample"


@pytest.mark.parametrize("launcher", ["native", "dhagapatch"])
def test_a_module_runs_to_its_end(launcher: str, sample: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Limits, "of", lambda self, key: 1.5)
    told: list[str] = []
    result = run_module(
        sys.executable, "3", sample, LAUNCHERS[launcher], None, lambda key: False,
        lambda key, outcome: told.append(f"{outcome.outcome} {key.rpartition('.')[2]}"),
    )  # fmt: skip
    outcomes = {key.rpartition(".")[2].strip(")"): outcome.outcome for key, outcome in result.outcomes.items()}
    assert outcomes == {
        "test_a_passes": "pass", "test_b_fails": "fail", "test_c_skips": "skip", "test_d_is_known": "expected failure",
        "test_e_subtests": "fail", "test_f_crashes": "crash", "test_g_hangs": "hang", "test_h_left_out": "fail",
        "test_i_passes": "pass", "Fixture": "error",
    }  # fmt: skip
    assert told == ["crash test_f_crashes", "hang test_g_hangs"]
    assert result.starts == 3 and not result.problem
    hang = next(outcome for key, outcome in result.outcomes.items() if key.endswith("test_g_hangs"))
    assert re.search(r"in \S*test_g_hangs", hang.text), "it does not say where it stands"


def test_what_is_left_out_does_not_run(sample: str) -> None:
    prefix = "test.test_sample.Sample.test_"
    native = Result(sample, "3", "native", {f"{prefix}{name}": Outcome("pass") for name in ("f_crashes", "h_left_out")})
    native.outcomes[f"{prefix}g_hangs"] = Outcome("hang")
    result = run_module(
        sys.executable, "3", sample, LAUNCHERS["native"], native,
        lambda key: key.endswith(("crashes", "left_out")), lambda key, outcome: None,
    )  # fmt: skip
    ran = {key.removeprefix(prefix) for key in result.outcomes}
    assert ran & {"f_crashes", "g_hangs", "h_left_out"} == set() and "i_passes" in ran and result.starts == 1


def _result(launcher: str, **outcomes: str) -> Result:
    return Result("test_m", "3.11.7", launcher, {key: Outcome(outcome) for key, outcome in outcomes.items()})


def _entry(id: str, outcome: str, **more: Any) -> Expectation:
    return Expectation(id, outcome, "why", "0.1", **more)


def test_the_ledger_is_strict() -> None:
    native = _result("native", a="pass", b="pass", c="pass", d="pass", e="pass", f="fail", g="expected failure")
    result = _result("dhagapatch", a="pass", b="fail", c="skip", d="hang", f="pass", g="expected failure", x="crash")
    bare = judge(native, result, [])
    assert (bare.baseline, bare.passed, bare.hangs) == (6, 2, 1)
    assert set(bare.unexpected) == {"b", "c", "d", "e", "x"} and bare.unexpected["e"].outcome == "missing" and bare.red
    known = judge(native, result, [_entry("[bcde]", "fail"), _entry("x", "fail")])
    assert set(known.expected) == {"b", "c", "d", "e"} and set(known.unexpected) == {"x"}
    assert judge(native, _result("dhagapatch", **dict.fromkeys("abcdeg", "pass")), [_entry("b", "fail")]).passes == ["b"]
    assert not judge(native, _result("dhagapatch", **dict.fromkeys("abcdeg", "pass")), [_entry("b", "flaky")]).red


def test_an_entry_holds_where_it_says() -> None:
    entry = _entry("t", "fail", python=("3.11", "3.1"), launchers=("dhagapatch",))
    assert entry.holds("3.11.7", "dhagapatch")
    assert not entry.holds("3.12.1", "dhagapatch") and not entry.holds("3.11.7", "dhagapatch-children")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('id = "t"\noutcome = "fail"\nsince = "0.1"', "'why' is missing"),
        ('id = "t"\noutcome = "odd"\nwhy = "w"\nsince = "0.1"', "must be one of"),
        ('id = "t"\noutcome = "fail"\nwhy = "w"\nsince = "0.1"\nextra = 1', "unknown key 'extra'"),
    ],
)
def test_an_incomplete_entry_is_refused(text: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "ledger.toml"
    path.write_text(f"[[expected]]\n{text}\n")
    with pytest.raises(ValueError, match=complaint):
        read(path)


def test_the_ledger_of_the_standard_library_can_be_read() -> None:
    entries = read(Path(__file__).parents[1] / "compat" / "expectations" / "stdlib.toml")
    assert entries and len({entry.id for entry in entries}) == len(entries)


def test_what_moved_is_found() -> None:
    found = modules.find(sys.executable, ("posix", "test.test_os", "file"))
    assert not found.missing and len(set(found.modules)) == len(found.modules)
    assert "test_posix" in found.modules or "test_os.test_posix" in found.modules
    with pytest.raises(ValueError, match="no module 'nowhere'"):
        modules.find(sys.executable, ("nowhere",))


def test_the_page_keeps_what_was_not_run_here(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# T\n\n## CPython 3.9.1\n\n| kept |\n\n## CPython 3.11.7\n\n| old |\n\n## Known failures\n\n- gone\n")
    results.save(tmp_path / "results", _result("native", a="pass"))
    report.write_page(tmp_path / "results", page, [])
    text = page.read_text()
    assert text.index("## CPython 3.9.1\n\n| kept |") < text.index("## CPython 3.11.7") < text.index("| test_m | 1 |")
    assert "old" not in text and "gone" not in text
