"""What a run gave, as files: ``results/PYTHON/LAUNCHER/MODULE.json``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

__all__ = ["Outcome", "Result", "load", "load_all", "save"]


@dataclass
class Outcome:
    """How one test ended: pass, skip, fail, error, expected failure, unexpected success, hang, crash."""

    outcome: str
    seconds: float = 0.0
    text: str = ""


@dataclass
class Result:
    """One module under one launcher."""

    module: str
    python: str
    launcher: str
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    seconds: float = 0.0  # wall time, interpreter start included
    starts: int = 0  # processes: more than one after a hang or a crash
    children: list[int] = field(default_factory=lambda: [0, 0])  # Python processes: started patched, left alone
    left: list[str] = field(default_factory=list)  # what a late patch could not reach
    problem: str = ""  # why the module could not be run to its end

    @property
    def passed(self) -> list[str]:
        """The tests that passed; an expected failure that failed counts."""
        return [key for key, outcome in self.outcomes.items() if outcome.outcome in ("pass", "expected failure")]


def _path(folder: Path, python: str, launcher: str, module: str) -> Path:
    return folder / python / launcher / f"{module}.json"


def save(folder: Path, result: Result) -> None:
    """Write a result, over an older one."""
    path = _path(folder, result.python, result.launcher, result.module)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(result), indent=1))


def load(folder: Path, python: str, launcher: str, module: str) -> Result | None:
    """A result of an earlier run, if there is one."""
    path = _path(folder, python, launcher, module)
    return _read(path) if path.exists() else None


def load_all(folder: Path, python: str, launcher: str) -> dict[str, Result]:
    """All results of a launcher, by module."""
    paths = sorted((folder / python / launcher).glob("*.json"))
    return {path.stem: _read(path) for path in paths}


def _read(path: Path) -> Result:
    facts = json.loads(path.read_text())
    facts["outcomes"] = {key: Outcome(**outcome) for key, outcome in facts["outcomes"].items()}
    return Result(**facts)
