"""Run the programs, each in a fresh interpreter with a time limit, in interleaved rounds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.cases import PROGRAMS, Case
from benchmarks.environment import ROOT
from benchmarks.launchers import Launcher

__all__ = ["Plan", "Results", "RunFailed", "Sample", "run_all", "run_once"]

_ABORT_SECONDS = 3.0  # for a program that is out of time to show where it hangs
_SHOWN_LINES = 30


class RunFailed(Exception):
    """A program ended otherwise than it should, or not in time; the text ends with its standard error."""


@dataclass(frozen=True)
class Sample:
    """What one run of a program told: seconds are of the measured section, the peak is the process's."""

    operations: int
    cpu_seconds: float
    wall_seconds: float
    peak_rss_bytes: int


@dataclass(frozen=True)
class Plan:
    """What is to be run."""

    python: str
    cases: Sequence[Case]
    launchers: Sequence[Launcher]
    rounds: int
    quick: bool
    timeout: float  # seconds, for each run


@dataclass
class Results:
    """Samples in the order of rounds, and failures, by the names of case and launcher."""

    samples: dict[tuple[str, str], list[Sample]] = field(default_factory=dict)
    failures: dict[tuple[str, str], str] = field(default_factory=dict)


def run_once(plan: Plan, case: Case, launcher: Launcher) -> Sample:
    """Run a program once; RunFailed for an exit code, for bad data, for unreadable output, and after the time limit."""
    program = str(PROGRAMS / f"{case.program}.py")
    command = [plan.python, *launcher.prefix, program, *(case.quick if plan.quick else case.arguments)]
    # on SIGABRT the program shows where it was stuck
    environment = {**os.environ, "PYTHONFAULTHANDLER": "1"}
    child = subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, errors="replace",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        output, errors = child.communicate(timeout=plan.timeout)
    except subprocess.TimeoutExpired:
        errors = _abort(child)
        raise RunFailed(f"not done within {plan.timeout:g} s\n{_tail(errors)}") from None
    finally:
        if child.poll() is None:  # Ctrl-C: it must not outlive us
            child.kill()
            child.wait()
    if child.returncode:
        raise RunFailed(f"exit code {child.returncode}\n{_tail(errors)}")
    return _parse(output, errors)


def _abort(child: subprocess.Popen[str]) -> str:
    """End a child that is out of time; what it wrote to standard error."""
    child.send_signal(signal.SIGABRT)
    try:
        return child.communicate(timeout=_ABORT_SECONDS)[1]
    except subprocess.TimeoutExpired:
        child.kill()
        return child.communicate()[1]


def _tail(text: str) -> str:
    """The end of what a program wrote to standard error."""
    lines = text.rstrip().splitlines()
    shown = [f"  | {line}" for line in lines[-_SHOWN_LINES:]] or ["  | (nothing on standard error)"]
    if len(lines) > _SHOWN_LINES:
        shown.insert(0, f"  | ({len(lines) - _SHOWN_LINES} lines left out)")
    return "\n".join(shown)


def _parse(output: str, errors: str) -> Sample:
    """The sample in a program's last line."""
    try:
        result = json.loads(output.rstrip().rpartition("\n")[2])
        sample = Sample(
            operations=int(result["operations"]),
            cpu_seconds=float(result["cpu_seconds"]),
            wall_seconds=float(result["wall_seconds"]),
            peak_rss_bytes=int(result["peak_rss_bytes"]),
        )
        correct = result["correct"] is True and sample.operations > 0 and sample.cpu_seconds > 0
    except (ValueError, KeyError, TypeError):
        raise RunFailed(f"no result in its output {output[-200:]!r}\n{_tail(errors)}") from None
    if not correct:
        raise RunFailed(f"its data were wrong: {result}\n{_tail(errors)}")
    return sample


def run_all(plan: Plan, on_run: Callable[[str], None]) -> Results:
    """A B C A B C: each round runs each case under each launcher; who failed once is left out from then on.

    `on_run` is told what runs next.
    """
    results = Results()
    for number in range(1, plan.rounds + 1):
        for case in plan.cases:
            for launcher in plan.launchers:
                key = (case.name, launcher.name)
                on_run(f"round {number} of {plan.rounds}: {case.name} under {launcher.name}")
                if key in results.failures:
                    continue
                try:
                    sample = run_once(plan, case, launcher)
                except RunFailed as error:
                    results.failures[key] = f"{case.name} under {launcher.name}, round {number}: {error}"
                else:
                    results.samples.setdefault(key, []).append(sample)
    return results
