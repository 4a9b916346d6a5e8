"""The ledger of known failures: strict, each entry with its reason.

[[expected]]
id = "test.test_threading.ThreadTests.test_*"   # as the run names it; * and ? as in file names
outcome = "fail"                                # fail, flaky, or skip (hangs and crashes only: it is not run)
python = ["3.12", "3.13"]                       # where; all versions without it
launchers = ["dhagapatch"]                      # under which; all of dhagapatch without it
why = "A sentence that a user would accept, and what it would take."
since = "0.1"
"""

from __future__ import annotations

import fnmatch
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from compat.results import Outcome, Result

__all__ = ["Expectation", "Verdict", "judge", "read"]

OUTCOMES = ("fail", "flaky", "skip")
KEYS = {"id", "outcome", "python", "launchers", "why", "since"}


@dataclass(frozen=True)
class Expectation:
    """One entry."""

    id: str
    outcome: str
    why: str
    since: str
    python: tuple[str, ...] = ()
    launchers: tuple[str, ...] = (
        "dhagapatch", "dhagapatch-children", "dhagapatch-timeslice", "dhagapatch-timeslice-1ms", "dhagapatch-late",
    )  # fmt: skip

    def holds(self, python: str, launcher: str) -> bool:
        """Whether the entry speaks of this run."""
        return launcher in self.launchers and (not self.python or any(python.startswith(f"{given}.") for given in self.python))

    def matches(self, key: str) -> bool:
        """Whether the entry speaks of this test."""
        return key == self.id or fnmatch.fnmatchcase(key, self.id)  # a pytest id has brackets of its own


def read(path: Path) -> list[Expectation]:
    """The entries of a file; ValueError for one that is not complete."""
    entries = []
    for number, facts in enumerate(tomllib.loads(path.read_text()).get("expected", ()), 1):
        where = f"{path.name}, entry {number} ({facts.get('id')})"
        if unknown := set(facts) - KEYS:
            raise ValueError(f"{where}: unknown key {sorted(unknown)[0]!r}")
        if missing := {"id", "outcome", "why", "since"} - set(facts):
            raise ValueError(f"{where}: {sorted(missing)[0]!r} is missing")
        if facts["outcome"] not in OUTCOMES:
            raise ValueError(f"{where}: outcome is {facts['outcome']!r}; it must be one of {', '.join(OUTCOMES)}")
        lists = {key: tuple(facts[key]) for key in ("python", "launchers") if key in facts}
        entries.append(Expectation(**{**facts, **lists}))
    return entries


@dataclass
class Verdict:
    """One module's run, judged against the native one."""

    module: str
    baseline: int = 0  # tests that pass natively
    passed: int = 0
    lost: dict[str, Outcome] = field(default_factory=dict)  # passed natively, and not here
    unexpected: dict[str, Outcome] = field(default_factory=dict)  # lost, and not in the ledger
    expected: dict[str, Expectation] = field(default_factory=dict)  # lost, and in the ledger
    passes: list[str] = field(default_factory=list)  # in the ledger, and passed
    problem: str = ""

    @property
    def hangs(self) -> int:
        """How many hung."""
        return sum(outcome.outcome == "hang" for outcome in self.lost.values())

    @property
    def red(self) -> bool:
        """Whether the run is not as expected."""
        return bool(self.unexpected or self.passes or self.problem)


def judge(native: Result, result: Result, entries: list[Expectation]) -> Verdict:
    """What was lost, and whether that was known; `entries` that hold for the run only."""
    verdict = Verdict(result.module, problem=result.problem)
    verdict.baseline = len(native.passed)
    passed = set(result.passed)
    for key in native.passed:
        entry = next((entry for entry in entries if entry.matches(key)), None)
        if key in passed:
            verdict.passed += 1
            if entry is not None and entry.outcome != "flaky":
                verdict.passes.append(key)
            continue
        outcome = result.outcomes.get(key, Outcome("missing"))
        verdict.lost[key] = outcome
        if entry is not None:
            verdict.expected[key] = entry
        else:
            verdict.unexpected[key] = outcome
    for key, outcome in result.outcomes.items():
        if key not in native.outcomes and outcome.outcome in ("hang", "crash"):
            verdict.lost[key] = verdict.unexpected[key] = outcome
    return verdict
