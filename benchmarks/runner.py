"""Run the programs, each in a fresh interpreter with a time limit, in interleaved rounds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.cases import KEYS, PROGRAMS, Case
from benchmarks.environment import ROOT
from benchmarks.launchers import Launcher

__all__ = ["Plan", "Results", "RunFailed", "Sample", "run_all", "run_once"]

_ABORT_SECONDS = 3.0  # for a program that is out of time to show where it hangs
_ABORT_ALONE_SECONDS = 1.0  # of these, before what it has started is aborted, too
_C_STACK = ("  Binary file ", "Current thread's C stack trace")
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
    memory_bytes: int | None = None  # by which all operations together made the process grow


@dataclass(frozen=True)
class Plan:
    """What is to be run."""

    python: str
    cases: Sequence[Case]
    launchers: Sequence[Launcher]
    rounds: int
    quick: bool
    timeout: float  # seconds, for each run
    keys: str = ""  # the folder with certificates
    absent: Mapping[tuple[str, str], str] = field(default_factory=dict)  # by case and launcher: why it cannot run
    seconds: float | None = None  # no round is begun that would not end within this time; None is no limit

    def runs(self, case: Case) -> list[Launcher]:
        """The launchers under which a case makes sense, whether they can run it or not."""
        return [
            launcher
            for launcher in self.launchers
            if (launcher.name in case.references if launcher.rewrite else not case.patches or launcher.patch)
        ]

    def command(self, case: Case, launcher: Launcher) -> list[str]:
        """What is executed."""
        program = str(PROGRAMS / f"{case.program}{launcher.rewrite}.py")
        arguments = [*(case.quick if self.quick else case.arguments), *launcher.extra]
        arguments = [self.keys if argument == KEYS else argument for argument in arguments]
        if not case.driver:
            return [self.python, *launcher.prefix, program, *arguments]
        if case.patches:
            arguments += ["--patch", launcher.patch]
        driver = f"benchmarks.drivers.{case.driver}"
        return [self.python, "-m", driver, *arguments, "--program", program, "--", *launcher.prefix]


@dataclass
class Results:
    """Samples in the order of rounds, and failures, by the names of case and launcher."""

    samples: dict[tuple[str, str], list[Sample]] = field(default_factory=dict)
    failures: dict[tuple[str, str], str] = field(default_factory=dict)
    rounds: int = 0  # that were made


def run_once(plan: Plan, case: Case, launcher: Launcher) -> Sample:
    """Run a program once; RunFailed for an exit code, for bad data, for unreadable output, and after the time limit."""
    # on SIGABRT the program shows where it was stuck
    environment = {**os.environ, "PYTHONFAULTHANDLER": "1"}
    child = subprocess.Popen(
        plan.command(case, launcher), cwd=ROOT, env=environment, text=True, errors="replace",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,  # a driver and what it started are signalled together
    )  # fmt: skip
    try:
        output, errors = child.communicate(timeout=plan.timeout)
    except subprocess.TimeoutExpired:
        errors = _abort(child)
        raise RunFailed(f"not done within {plan.timeout:g} s\n{_tail(errors)}") from None
    finally:
        _signal(child, signal.SIGKILL)  # nothing may outlive its run: not after Ctrl-C, not a server whose driver failed
        child.wait()
    if child.returncode:
        raise RunFailed(f"exit code {child.returncode}\n{_tail(errors)}")
    return _parse(output, errors)


def _signal(child: subprocess.Popen[str], number: int) -> None:
    """Signal a child and whatever it has started, if some of it still runs."""
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        pass


def _abort(child: subprocess.Popen[str]) -> str:
    """End a child that is out of time, then what it has started, as all write to one pipe; what stood there."""
    child.send_signal(signal.SIGABRT)
    try:
        child.wait(_ABORT_ALONE_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    _signal(child, signal.SIGABRT)
    try:
        return child.communicate(timeout=_ABORT_SECONDS)[1]
    except subprocess.TimeoutExpired:
        _signal(child, signal.SIGKILL)
        return child.communicate()[1]


def _tail(text: str) -> str:
    """The end of what a program wrote to standard error."""
    # since 3.14 faulthandler shows the stack of C functions too, which is long, and says little
    lines = [line for line in text.rstrip().splitlines() if not line.startswith(_C_STACK)]
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
            memory_bytes=None if result["memory_bytes"] is None else int(result["memory_bytes"]),
        )
        correct = result["correct"] is True and sample.operations > 0 and sample.cpu_seconds > 0
    except (ValueError, KeyError, TypeError):
        raise RunFailed(f"no result in its output {output[-200:]!r}\n{_tail(errors)}") from None
    if not correct:
        raise RunFailed(f"its data were wrong: {result}\n{_tail(errors)}")
    return sample


def run_all(plan: Plan, on_run: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> Results:
    """A B C A B C: each round runs each case under each launcher; who failed once is left out from then on.

    `on_run` is told what runs next. The first round is made in any case.
    """
    results = Results()
    start = clock()
    took: dict[str, float] = {}  # seconds, by case, in the round before
    for number in range(1, plan.rounds + 1):
        cases = [case for case in plan.cases if number <= case.most_rounds]
        needed = sum(took.get(case.name, 0.0) for case in cases)
        if not cases or (number > 1 and plan.seconds is not None and clock() - start + needed > plan.seconds):
            break
        for case in cases:
            begin = clock()
            for launcher in plan.runs(case):
                on_run(f"round {number} of {plan.rounds}: {case.name} under {launcher.name}")
                _run_into(results, plan, case, launcher, number)
            took[case.name] = clock() - begin
        results.rounds = number
    return results


def _run_into(results: Results, plan: Plan, case: Case, launcher: Launcher, number: int) -> None:
    """Run once, and keep the sample, or the failure."""
    key = (case.name, launcher.name)
    if key in results.failures or key in plan.absent:
        return
    try:
        sample = run_once(plan, case, launcher)
    except RunFailed as error:
        results.failures[key] = f"{case.name} under {launcher.name}, round {number}: {error}"
    else:
        results.samples.setdefault(key, []).append(sample)
