"""``python -m benchmarks``: measure, print a table, write JSON and Markdown.

The exit code is 0, 1 if a program failed, 2 if something is missing or the command line is wrong.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from benchmarks.cases import CASES, Case
from benchmarks.environment import Environment, look_round
from benchmarks.launchers import LAUNCHERS
from benchmarks.runner import Plan, Results, run_all
from benchmarks.summary import summarize

ROUNDS, QUICK_ROUNDS = 5, 2
TIMEOUT, QUICK_TIMEOUT = 120.0, 30.0  # seconds
INSTALL = "pip install -e '.[bench]'"


def _fail(text: str) -> NoReturn:
    print(f"python -m benchmarks: {text}", file=sys.stderr)
    raise SystemExit(2)


try:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from benchmarks.report import as_json, as_markdown, print_table
except ModuleNotFoundError as error:
    _fail(f"{error.name} is missing; run: {INSTALL}")


def choose(names: Sequence[str] | None) -> list[Case]:
    """The cases named, in the order of the table; a program's name chooses all of its cases.

    ValueError for a name that is neither.
    """
    if not names:
        return list(CASES)
    known = {case.name for case in CASES} | {case.program for case in CASES}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"no case or program {unknown[0]!r}; there are: {', '.join(sorted(known))}")
    return [case for case in CASES if case.name in names or case.program in names]


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line; SystemExit 2 if it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="cases, or programs with all of their cases")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"default {ROUNDS}, with --quick {QUICK_ROUNDS}")
    parser.add_argument("--python", default=sys.executable, metavar="PY", help="the interpreter to measure (default: this one)")
    parser.add_argument("--quick", action="store_true", help="small sizes, for a look within half a minute")
    parser.add_argument(
        "--timeout", type=float, metavar="SECONDS",
        help=f"for each run; default {TIMEOUT:g}, with --quick {QUICK_TIMEOUT:g}",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything, each sample too, to FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table to FILE")
    parser.add_argument("--list", action="store_true", help="print the cases and end")
    options = parser.parse_args(argv)
    try:
        options.cases = choose(options.only)
    except ValueError as error:
        parser.error(str(error))
    if options.rounds is None:
        options.rounds = QUICK_ROUNDS if options.quick else ROUNDS
    if options.timeout is None:
        options.timeout = QUICK_TIMEOUT if options.quick else TIMEOUT
    if options.rounds < 1 or options.timeout <= 0:
        parser.error("--rounds and --timeout must be positive")
    return options


def check(python: str) -> Environment:
    """The environment of the interpreter to measure; SystemExit 2 if it or a package is missing."""
    try:
        environment = look_round(python)
    except subprocess.CalledProcessError as error:
        _fail(f"{python} could not tell its versions:\n{error.stderr}")
    except (OSError, subprocess.TimeoutExpired) as error:
        _fail(f"{python} does not run: {error}")
    needed = [launcher.package for launcher in LAUNCHERS if launcher.package]
    if missing := [name for name in needed if environment.versions[name] is None]:
        _fail(f"{', '.join(missing)} cannot be imported in {python}; run, in its environment: {INSTALL}")
    return environment


def measure(plan: Plan) -> Results:
    """Run everything, with a progress bar on standard error."""
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=plan.rounds * len(plan.cases) * len(plan.launchers))
        done = -1

        def on_run(text: str) -> None:
            nonlocal done
            done += 1
            progress.update(task, description=text, completed=done)

        return run_all(plan, on_run)


def main(argv: Sequence[str]) -> int:
    """Measure and report; the exit code."""
    options = parse(argv)
    if options.list:
        for case in CASES:
            print(f"{case.name:18} {case.program}.py {' '.join(case.arguments)}  (an operation: {case.operation})")
        return 0
    environment = check(options.python)
    plan = Plan(options.python, options.cases, LAUNCHERS, options.rounds, options.quick, options.timeout)
    results = measure(plan)
    rows = summarize(results, plan.cases, plan.launchers)
    print_table(rows, plan, environment, Console())
    if options.json:
        options.json.write_text(as_json(rows, plan, environment, results), encoding="utf-8")
    if options.markdown:
        options.markdown.write_text(as_markdown(rows, plan, environment), encoding="utf-8")
    for failure in results.failures.values():
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if results.failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
