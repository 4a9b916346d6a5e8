"""The runner of other projects' suites: a small fake suite to its end, and the table."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from compat import environments, report_third_party, results, suites, third_party
from compat.environments import Environment, EnvironmentFailed
from compat.expectations import read
from compat.launchers import LAUNCHERS
from compat.results import Outcome, Result
from compat.suites import LeftOut, Suite
from compat.supervise import Limits

SAMPLE = """
import os, sys, threading, time, pytest

def test_a_passes(): assert "COMPAT_RUN" not in os.environ and "PYTHONPATH" not in os.environ
def test_b_fails(): assert 0, "so"
def test_c_skips(): pytest.skip("why")
@pytest.mark.xfail
def test_d_is_known(): assert 0
@pytest.fixture
def broken(): raise ValueError("fixture")
def test_e_errs(broken): pass
def test_f_crashes(): os._exit(7)
def test_g_hangs(): time.sleep(60)
def test_h_left_out(): assert 0
@pytest.mark.parametrize("n", [1, 2])
def test_i_passes(n): pass
def test_j_forks():
    if not os.fork():
        os._exit(0)
    os.wait()
"""
OUTCOMES = {
    "test_a_passes": "pass", "test_b_fails": "fail", "test_c_skips": "skip", "test_d_is_known": "expected failure",
    "test_e_errs": "error", "test_f_crashes": "crash", "test_g_hangs": "hang", "test_i_passes[1]": "pass",
    "test_i_passes[2]": "pass", "test_j_forks": "pass",
}  # fmt: skip


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """A source distribution with a suite, to be run by this interpreter."""
    monkeypatch.setattr(Limits, "of", lambda self, key: 1.5 if key is not None and "hangs" in key else 30.0)
    top = tmp_path / "fake-1.0"
    (top / "tests").mkdir(parents=True)
    (top / "tests" / "test_sample.py").write_text(SAMPLE)
    (top / "tests" / "test_broken.py").write_text("import nothing_of_this_name")
    (top / "tests" / "test_skipped.py").write_text("import pytest; pytest.skip('all', allow_module_level=True)")
    (top / "pytest.ini").touch()
    with tarfile.open(tmp_path / "fake-1.0.tar.gz", "w:gz") as archive:
        archive.add(top, "fake-1.0")
    return Environment(sys.executable, tmp_path / "fake-1.0.tar.gz", tmp_path / "source")


def _run(environment: Environment, launcher: str) -> tuple[Result, list[str]]:
    suite = Suite("fake", "1.0", "", (), ("tests",), left_out=(LeftOut("*::test_h*", "why"),))
    told: list[str] = []

    def hears(key: str, outcome: Outcome) -> None:
        told.append(f"{outcome.outcome} {key}")

    return third_party.run_suite(suite, LAUNCHERS[launcher], "3", environment, None, [], hears), told


@pytest.mark.parametrize("launcher", ["native", "dhagapatch", "dhagapatch-late"])
def test_a_suite_runs_to_its_end(launcher: str, environment: Environment) -> None:
    result, told = _run(environment, launcher)
    assert {key.removeprefix("fake/tests/"): outcome.outcome for key, outcome in result.outcomes.items()} == {
        "test_broken.py": "error", "test_skipped.py": "skip",
        **{f"test_sample.py::{name}": outcome for name, outcome in OUTCOMES.items()},
    }  # fmt: skip
    prefix = "fake/tests/test_sample.py::test_"
    assert told == [f"crash {prefix}f_crashes", f"hang {prefix}g_hangs"]
    assert result.starts == 3 and not result.problem
    hang = result.outcomes[f"{prefix}g_hangs"].text
    assert "in test_g_hangs" in hang, "it does not say where it stands"
    assert ("dhaga" in hang) == (launcher != "native")


@pytest.mark.parametrize(("content", "complaint"), [(b"archive", ""), (b"another", "its sha256 is"), (None, "No such file")])
def test_a_source_is_kept_if_it_is_what_it_should_be(content: bytes | None, complaint: str, tmp_path: Path) -> None:
    archive = tmp_path / "fake_1.0.orig.tar.gz"
    if content is not None:
        archive.write_bytes(content)
    suite = Suite("fake", "1.0", hashlib.sha256(b"archive").hexdigest(), (), (), source=archive.as_uri())
    cache = tmp_path / "cache"
    if complaint:
        with pytest.raises(EnvironmentFailed, match=complaint):
            environments._sdist(suite, "no interpreter", cache)
        assert not cache.exists(), "something was kept"
        return
    kept = environments._sdist(suite, "no interpreter", cache)
    assert kept.read_bytes() == content and kept.name == archive.name
    archive.unlink()
    assert environments._sdist(suite, "no interpreter", cache) == kept, "it was fetched again"


def test_some_tests_are_run_with_the_options_of_the_suite(tmp_path: Path) -> None:
    (tmp_path / "t" / "unit").mkdir(parents=True)
    suite = Suite("fake", "1.0", "", (), ("-k", "not tls", "--ignore=t/x.py", "--port", "{port}", "t/unit", "t"))
    assert third_party._only(suite, ["fake/t/unit/test_a.py::test_b[{}]"], tmp_path) == [
        "-k", "not tls", "--ignore=t/x.py", "--port", "{port}", "t/unit/test_a.py::test_b[{{}}]",
    ]  # fmt: skip


def test_settings_are_put_beside_the_project_and_filled_in(tmp_path: Path) -> None:
    settings, top = tmp_path / "settings", tmp_path / "top"
    for folder in (settings / "test", top):
        folder.mkdir(parents=True)
    (settings / "test" / "a.json.template").write_text('{"port": $port}')
    (settings / "b.py").write_text("$port {port}")
    third_party._put_beside(settings, top, {"port": "123"})
    assert (top / "test" / "a.json").read_text() == '{"port": 123}' and (top / "b.py").read_text() == "$port {port}"
    assert sorted(path.name for path in top.rglob("*.*")) == ["a.json", "b.py"]
    with pytest.raises(ValueError, match="a file of the project"):
        third_party._put_beside(settings, top, {"port": "124"})


def test_the_fence_leaves_the_loopback_only() -> None:
    program = (
        "import socket; from compat.fence import fence\n"
        "if not fence(): raise SystemExit(77)\n"
        "with socket.create_server(('127.0.0.1', 0)) as server: socket.create_connection(server.getsockname()).close()\n"
        "try: socket.create_connection(('192.0.2.1', 9), 5)\n"
        "except OSError as error: print(error.strerror)"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, env=dict(os.environ))
    if done.returncode == 77:
        pytest.skip("no network namespace can be made here")
    assert done.stdout.strip() == "Network is unreachable", done.stderr


def test_the_page_says_what_was_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = 'version = "1"\nsha256 = "0"\nargs = []\nrequires = []\n'
    (tmp_path / "suites.toml").write_text("".join(f'[[suite]]\nname = "{name}"\n{table}' for name in "abc"))
    (tmp_path / "ledger.toml").touch()
    for name, value in (("RESULTS", "results"), ("SUITES", "suites.toml"), ("LEDGER", "ledger.toml")):
        monkeypatch.setattr(third_party, name, tmp_path / value)

    def write_with(*ran: tuple[str, str, str]) -> None:
        for name, launcher, outcome in ran:
            results.save(tmp_path / "results", Result(name, "3.11.7", launcher, {f"{name}/t": Outcome(outcome)}, seconds=2.0))
        report_third_party.write_page(tmp_path / "page.md")

    write_with(("a", "native", "pass"), ("b", "native", "pass"), ("a", "dhagapatch", "pass"), ("a", "gevent", "hang"))
    lines = (tmp_path / "page.md").read_text().splitlines()
    assert "| suite | server | native | dhagapatch | dhagapatch-late | gevent | eventlet | time |" in lines
    assert "| a 1 |  | 1 | 1 | not run | **0**, 1 hung | not run | 1.00 |" in lines
    assert "| b 1 |  | 1 | not run | not run | not run | not run |  |" in lines
    assert "| **in all** | | 2 | 1 of 1 (100.00 %) | not run | 0 of 1 (0.00 %) | not run | |" in lines
    assert "| hangs | | | 0 |  | 1 |  | |" in lines and "Not run at all: c." in lines
    (tmp_path / "suites.toml").write_text("".join(f'[[suite]]\nname = "{name}"\n{table}' for name in "abcd"))
    write_with(("c", "native", "pass"), ("c", "eventlet", "pass"))
    for name, launcher in (("a", "gevent"), ("c", "native"), ("c", "eventlet")):
        (tmp_path / "results" / "3.11.7" / launcher / f"{name}.json").unlink()
    for _ in range(2):  # what is of an earlier run stays so
        write_with()
        lines = (tmp_path / "page.md").read_text().splitlines()
        assert "| a 1 |  | 1 | 1 | not run | **0**, 1 hung † | not run | 1.00 |" in lines
        assert "| c 1 |  | 1 † | not run | not run | not run | 1 † |  |" in lines
        assert "| **in all** | | 2 | 1 of 1 (100.00 %) | not run | not run | not run | |" in lines
        assert "Not run at all: d." in lines
    kept = "## CPython 3.9.1\n\n| kept |\n\n## CPython 3.11.7"
    page = tmp_path / "page.md"
    page.write_text(page.read_text().replace("## CPython 3.11.7", kept))
    write_with()
    assert kept in page.read_text()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ('extra = 1', "unknown key 'extra'"),
        ('left_out = [{ id = "t" }]', "takes an 'id' and a 'why'"),
        ('[[suite]]\nname = "b"', "'args' is missing"),
        ('[[suite]]\nname = "b"\nversion = "1"\nsha256 = "0"\nargs = []\nrequires = ["c"]', "'c' is not pinned"),
        ('source = "http://example.org/a.tar.gz"', "must be the https address"),
        ('[[suite]]\nname = "a"\nversion = "1"\nsha256 = "0"\nargs = []\nrequires = []', "'a' is there twice"),
    ],
)
def test_an_incomplete_table_is_refused(change: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "suites.toml"
    path.write_text(f'[[suite]]\nname = "a"\nversion = "1"\nsha256 = "0"\nargs = []\nrequires = ["c==1"]\n{change}\n')
    with pytest.raises(ValueError, match=complaint):
        suites.read(path)


def test_the_table_and_its_ledger_can_be_read() -> None:
    table, runtimes = suites.read(third_party.SUITES)
    assert table and set(runtimes) == {"gevent", "eventlet"}
    assert [suite.name for suite in suites.choose(table, ["Requests"])] == ["requests"]
    with pytest.raises(ValueError, match="no suite 'nothing'"):
        suites.choose(table, ["nothing"])
    prefixes = tuple(suite.prefix for suite in table)
    assert all(entry.id.startswith(prefixes) for entry in read(third_party.LEDGER))
