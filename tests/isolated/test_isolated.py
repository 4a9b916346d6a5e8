"""Each script of this folder passes, in a fresh interpreter."""

from __future__ import annotations

from pathlib import Path

import pytest
from ahead import Ahead
from run_isolated import run_file

SCRIPTS = sorted(path for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("test_"))


def _run(path: Path) -> str:
    first = path.read_text().partition("\n")[0]
    return run_file(path, *(first.removeprefix("# run:").split() if first.startswith("# run:") else ()))


_runs = Ahead(_run, "path")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_isolated(path: Path, request: pytest.FixtureRequest) -> None:
    _runs.result(request)


@pytest.mark.parametrize("path", [path for path in SCRIPTS if path.stem.startswith("bridge_")], ids=lambda path: path.stem)
def test_isolated_in_the_debug_mode_of_asyncio(path: Path) -> None:
    run_file(path, "-m", "dhagapatch", PYTHONASYNCIODEBUG="1")
