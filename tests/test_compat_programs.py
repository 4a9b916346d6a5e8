"""The runner of other projects' programs: fake ones that do the same, or do not."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from compat import run_programs
from compat.launchers import LAUNCHERS
from compat.run_programs import Program, difference, read, run_program

PROGRAM = """
import os, sys, threading
print("in", os.getcwd(), "at", sys.argv[1], os.environ["WORD"])
print("started at 12:34")
threads = [threading.Thread(target=print, args=(name,)) for name in sys.argv[2:]]
for thread in threads: thread.start()
for thread in threads: thread.join()
open("out/file", "w").write("text")
if "fails" in sys.argv: sys.exit(3)
"""
ASKS = """
import sys, urllib.request
print(urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/program.py").read() == open("program.py", "rb").read())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a program named "fake" has its files."""
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "program.py").write_text(PROGRAM)
    (tmp_path / "fake" / "asks.py").write_text(ASKS)
    return tmp_path


def _program(*steps: str, **changes: object) -> Program:
    program = Program("fake", "does nothing", (), steps, environ={"WORD": "word{port}"}, ignore=(r"\d\d:\d\d",))
    return replace(program, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("launcher", ["native", "dhagapatch"])
def test_what_it_says_is_told_without_what_differs_from_run_to_run(launcher: str, folder: Path) -> None:
    run = run_program(_program("python program.py {port} b a fails"), LAUNCHERS[launcher], sys.executable, folder)
    *said, code, file = run.said
    assert said == ["$ python program.py {port} b a fails", "in CWD at PORT wordPORT", "started at ...", "b", "a", "fails"]
    assert code == "exit code 3"
    assert file.startswith("file 982d9e3eb996f559")


def test_a_difference_is_told(folder: Path) -> None:
    one, other = (
        run_program(_program(f"python program.py 1 {names}"), LAUNCHERS["native"], sys.executable, folder)
        for names in ("a c", "b c")
    )
    assert not difference(one, one._replace(seconds=0.0))
    assert {"-a", "+b"} <= set(difference(one, other))
    one, other = (
        run_program(_program("python program.py 1 a b", unordered=True), LAUNCHERS["native"], sys.executable, folder)
        for _ in range(2)
    )
    assert not difference(one, other)


def test_a_step_that_does_not_end_is_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_programs, "STEP_SECONDS", 1.0)
    program = _program('python -c "import time; print(1, flush=True); time.sleep(60)"')
    assert run_program(program, LAUNCHERS["native"], sys.executable, folder).said[-2:] == ["1", "did not end within 1 s"]


def test_a_program_has_its_server(folder: Path) -> None:
    program = _program("python asks.py {port}", beside="python -m http.server --bind 127.0.0.1 {port}")
    assert run_program(program, LAUNCHERS["dhagapatch"], sys.executable, folder).said[1:] == ["True", "exit code 0"]


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ('name = "a"\nextra = 1', "unknown key 'extra'"),
        ('name = "a"\nwhat = "b"\nsteps = []', "'requires' is missing"),
        ('name = "a"\nwhat = "b"\nsteps = []\nrequires = ["c"]', "'c' is not pinned"),
    ],
)
def test_an_incomplete_table_is_refused(entry: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "programs.toml"
    path.write_text(f"[[program]]\n{entry}\n")
    with pytest.raises(ValueError, match=complaint):
        read(path)


def test_the_table_can_be_read() -> None:
    programs = read(run_programs.TABLE)
    assert len(programs) >= 10
    assert all(not (run_programs.FOLDER / program.name / "out").exists() or program.name == "black" for program in programs)
