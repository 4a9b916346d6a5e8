"""``python -m benchmarks``: measure, print tables, write JSON, Markdown and plots.

The exit code is 0, 1 if a program failed natively or under dhagapatch, 2 if something is missing or the command line is
wrong. What fails under a peer is told in the tables, and is no failure of ours.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from benchmarks.absent import find_absent
from benchmarks.cases import CASES, Case
from benchmarks.environment import ROOT, Environment, look_round
from benchmarks.launchers import LAUNCHERS, OURS, THREADS, Launcher
from benchmarks.pages import replace_section, sections_of
from benchmarks.runner import Plan, Results, run_all
from benchmarks.summary import Row, summarize

ROUNDS, QUICK_ROUNDS = 5, 1
TIMEOUT, QUICK_TIMEOUT = 60.0, 20.0  # seconds
MINUTES = 14.0
INSTALL = "pip install -e '.[bench]'"
PAGE = ROOT / "docs" / "reference" / "benchmarks.md"
PICTURES = ROOT / "docs" / "images"


def _fail(text: str) -> NoReturn:
    print(f"python -m benchmarks: {text}", file=sys.stderr)
    raise SystemExit(2)


try:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from benchmarks.keys import make_keys
    from benchmarks.report import ALL, STANDING, all_rows, as_json, as_markdown, as_percent, notes, print_tables, standing
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


def choose_launchers(names: Sequence[str] | None) -> list[Launcher]:
    """The launchers named, in the order of the table; ValueError for a name that is none."""
    known = [launcher.name for launcher in LAUNCHERS]
    if unknown := [name for name in names or () if name not in known]:
        raise ValueError(f"nothing called {unknown[0]!r} to run on; there are: {', '.join(known)}")
    return [launcher for launcher in LAUNCHERS if not names or launcher.name in names]


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--only", nargs="+", metavar="NAME", help="cases, or programs with all of their cases")
    add("--on", nargs="+", metavar="NAME", help=f"what to run on: {', '.join(launcher.name for launcher in LAUNCHERS)}")
    add("--rounds", type=int, metavar="N", help=f"default: up to {ROUNDS}, as --minutes allows; with --quick {QUICK_ROUNDS}")
    add("--minutes", type=float, metavar="M",
        help=f"begin no round that would not end in time (default {MINUTES:g}; none with --rounds)")  # fmt: skip
    add("--python", default=sys.executable, metavar="PY", help="the interpreter to measure (default: this one)")
    add("--quick", action="store_true", help="small sizes: to see that it works, not how fast it is")
    add("--timeout", type=float, metavar="SECONDS",
        help=f"for each run; default {TIMEOUT:g}, with --quick {QUICK_TIMEOUT:g}")  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="write everything, each sample too, to FILE")
    add("--markdown", type=Path, metavar="FILE", help="write the tables to FILE")
    add("--plots", type=Path, metavar="FOLDER", help="draw plots into FOLDER")
    add("--docs", action="store_true", help="put tables and plots into docs/ and README.md, for this version of Python")
    add("--list", action="store_true", help="print the cases and end")
    return parser


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line's options; SystemExit 2 if it is wrong."""
    parser = make_parser()
    options = parser.parse_args(argv)
    try:
        options.cases = choose(options.only)
        options.launchers = choose_launchers(options.on)
    except ValueError as error:
        parser.error(str(error))
    if options.minutes is None and options.rounds is None:
        options.minutes = MINUTES
    if options.rounds is None:
        options.rounds = QUICK_ROUNDS if options.quick else ROUNDS
    if options.timeout is None:
        options.timeout = QUICK_TIMEOUT if options.quick else TIMEOUT
    if options.rounds < 1 or options.timeout <= 0:
        parser.error("--rounds and --timeout must be positive")
    return options


def check(python: str) -> Environment:
    """The environment of the interpreter to measure; SystemExit 2 if it does not run, or does not have dhagapatch."""
    try:
        environment = look_round(python)
    except subprocess.CalledProcessError as error:
        _fail(f"{python} could not tell its versions:\n{error.stderr}")
    except (OSError, subprocess.TimeoutExpired) as error:
        _fail(f"{python} does not run: {error}")
    if environment.versions[OURS] is None:
        _fail(f"{OURS} cannot be imported in {python}; run, in its environment: {INSTALL}")
    return environment


def short_version(environment: Environment) -> str:
    """For the names of sections and plots: "CPython 3.11"."""
    return (environment.versions["python"] or "Python").rpartition(".")[0]


def measure(plan: Plan) -> Results:
    """Run everything, with a progress bar on standard error."""
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=sum(min(plan.rounds, case.most_rounds) * len(plan.runs(case)) for case in plan.cases))
        done = -1

        def on_run(text: str) -> None:
            nonlocal done
            done += 1
            progress.update(task, description=text, completed=done)

        return run_all(plan, on_run)


def draw(rows: Sequence[Row], folder: Path, version: str) -> list[Path]:
    """Draw the plots; the files."""
    from benchmarks.plots import draw_all  # matplotlib takes a while to import, and nothing else needs it

    return draw_all(rows, folder, f"benchmarks-{version.rpartition(' ')[2]}")


def write_pages(rows: Sequence[Row], told: Sequence[str], version: str) -> None:
    """Put tables and plots into the pages that have sections for this version of Python."""
    pictures = draw(rows, PICTURES, version)
    provenance = "\n".join(f"- {note}" for note in told)
    table = as_markdown(STANDING, standing(rows))
    for page in (PAGE, ROOT / "README.md"):
        text = page.read_text(encoding="utf-8")
        up = "../" if page == PAGE else "docs/"
        shown = "\n".join(f"![{file.stem}]({up}images/{file.name})" for file in pictures)
        parts = {
            "standing": f"{as_percent(rows)}.\n\n{table}\n{provenance}",
            "plots": shown,
            "costs": as_markdown(ALL, all_rows(rows)),
        }
        for name in sections_of(text):
            kind, _, of = name.partition(", ")
            if of == version and kind in parts:
                text = replace_section(text, name, parts[kind])
        page.write_text(text, encoding="utf-8")


def write(options: argparse.Namespace, plan: Plan, environment: Environment, results: Results, rows: list[Row]) -> None:
    """Write what the command line asks for."""
    told = notes(plan, environment, results.rounds)
    version = short_version(environment)
    if options.json:
        options.json.write_text(as_json(rows, plan, environment, results), encoding="utf-8")
    if options.markdown:
        tables = as_markdown(STANDING, standing(rows)), as_markdown(ALL, all_rows(rows))
        provenance = "\n".join(f"- {note}" for note in told)
        options.markdown.write_text(f"{provenance}\n\n" + "\n".join(tables), encoding="utf-8")
    if options.plots:
        draw(rows, options.plots, version)
    if options.docs:
        write_pages(rows, told, version)


def main(argv: Sequence[str]) -> int:
    """Measure and report; the exit code."""
    options = parse(argv)
    if options.list:
        for case in CASES:
            print(f"{case.name:22} {case.program}.py {' '.join(case.arguments)}  (an operation: {case.operation})")
        return 0
    if (options.plots or options.docs) and importlib.util.find_spec("matplotlib") is None:
        _fail(f"matplotlib is missing; run: {INSTALL}")
    environment = check(options.python)
    if options.docs and f"standing, {short_version(environment)}" not in sections_of(PAGE.read_text(encoding="utf-8")):
        _fail(f"{PAGE.name} has no section for {short_version(environment)}")
    with tempfile.TemporaryDirectory() as keys:
        make_keys(Path(keys))
        absent = find_absent(options.cases, options.launchers, environment.versions)
        seconds = None if options.minutes is None else options.minutes * 60
        plan = Plan(
            options.python, options.cases, options.launchers, options.rounds, options.quick, options.timeout,
            keys, absent, seconds,
        )  # fmt: skip
        results = measure(plan)
    rows = summarize(results, plan)
    print_tables(rows, plan, environment, results.rounds, Console())
    write(options, plan, environment, results, rows)
    for failure in results.failures.values():
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if any(launcher in (OURS, THREADS) for _, launcher in results.failures) else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
