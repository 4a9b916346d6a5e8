"""``python -m compat``: the interpreter's own tests, and those of other projects, natively and on dhagas.

The exit code is 0, 1 if an outcome was not as expected, 2 if something is missing or the command line is wrong.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from compat import expectations, modules, results
from compat.launchers import LAUNCHERS, Launcher
from compat.supervise import run_module

HERE = Path(__file__).parent
RESULTS = HERE / "results"
LEDGER = HERE / "expectations" / "stdlib.toml"
PAGE = HERE.parent / "docs" / "reference" / "compat.md"
PAGE_THIRD_PARTY = PAGE.with_name("compat-third-party.md")
CHOICES = [name for name in LAUNCHERS if name != "dhagapatch-late"]


def _fail(text: str) -> NoReturn:
    print(f"python -m compat: {text}", file=sys.stderr)
    raise SystemExit(2)


try:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from compat import feature_table, report, report_third_party, run_programs, third_party
except ModuleNotFoundError as error:
    _fail(f"{error.name} is missing; run: pip install -e '.[test]'")

console = Console(highlight=False, soft_wrap=True)


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line; SystemExit 2 if it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m compat", description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    stdlib = commands.add_parser("stdlib", help="run the interpreter's own test modules")
    stdlib.add_argument("--python", default=sys.executable, metavar="PY", help="the interpreter (default: this one)")
    stdlib.add_argument("--modules", nargs="+", metavar="NAME", help="test modules, or packages of them (default: all)")
    stdlib.add_argument("--fast", action="store_true", help="the modules nearest to us only")
    stdlib.add_argument("--launcher", nargs="+", choices=CHOICES, default=["dhagapatch"], help="default: dhagapatch")
    stdlib.add_argument("--jobs", type=int, default=2, metavar="N", help="modules at once (default: 2)")
    stdlib.add_argument("--fresh", action="store_true", help="run natively again, though an earlier run's results are there")
    stdlib.add_argument("--texts", action="store_true", help="print what each unexpected failure said")
    third_party.add_options(commands.add_parser("third-party", help="run the suites of other projects"), sys.executable)
    run_programs.add_options(commands.add_parser("programs", help="run programs of other projects"), sys.executable)
    feature_table.add_options(commands.add_parser("features", help="what each runtime can do, by a script for each row"))
    commands.add_parser("report", help="write the pages of the results that are there")
    return parser.parse_args(argv)


def run(
    python: str, found: modules.Found, launcher: Launcher, names: list[str], jobs: int, ledger: list[expectations.Expectation]
) -> None:
    """Run modules, `jobs` at once, the slowest first, and keep their results."""
    skips = [entry for entry in ledger if entry.outcome == "skip" and entry.holds(found.version, launcher.name)]
    native = results.load_all(RESULTS, found.version, "native")
    names = sorted(names, key=lambda name: -native[name].seconds if name in native else 0)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress, concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        task = progress.add_task(f"{found.version} {launcher.name}", total=len(names))

        def one(name: str) -> None:
            baseline = None if launcher.name == "native" else native.get(name)

            def told(key: str, outcome: results.Outcome) -> None:
                progress.console.print(f"{outcome.outcome}: {key}")

            def skipped(key: str) -> bool:
                return any(entry.matches(key) for entry in skips)

            result = run_module(python, found.version, name, launcher, baseline, skipped, told)
            results.save(RESULTS, result)
            if result.problem:
                progress.console.print(f"{name}: {result.problem.splitlines()[0]}")
            progress.advance(task)

        list(pool.map(one, names))


def stdlib(options: argparse.Namespace) -> int:
    """The exit code of the run."""
    try:
        chosen = tuple(options.modules or (modules.FAST if options.fast else modules.MODULES))
        found = modules.find(options.python, chosen)
        ledger = expectations.read(LEDGER)
    except (ValueError, OSError, subprocess.CalledProcessError) as error:
        _fail(str(error))
    launchers = [LAUNCHERS[name] for name in options.launcher]
    for launcher in launchers:
        if launcher.package and not modules.has(options.python, launcher.package):
            _fail(f"{launcher.package} is not installed for {options.python}")
    if found.missing:
        console.print(f"{found.version} comes without {', '.join(found.missing)}")
    known = results.load_all(RESULTS, found.version, "native")
    names = [name for name in found.modules if options.fresh or name not in known]
    if names:
        run(options.python, found, LAUNCHERS["native"], names, options.jobs, ledger)
    red = False
    for launcher in launchers:
        if launcher.name != "native":
            run(options.python, found, launcher, found.modules, options.jobs, ledger)
            verdicts = report.verdicts(RESULTS, found.version, launcher.name, found.modules, ledger)
            report.show(console, found.version, launcher.name, verdicts, texts=options.texts)
            console.print(report.totals(verdicts))
            stale = report.stale(ledger, found.version, launcher.name, verdicts, RESULTS)
            for entry in stale:
                console.print(f"the ledger names {entry.id}, which is not a test that passes natively")
            red = red or (launcher.name.startswith("dhagapatch") and (bool(stale) or any(verdict.red for verdict in verdicts)))
    return int(red)


def write_pages() -> int:
    """Write the pages of what there are results of; ValueError if there are none."""
    if (RESULTS / "third-party").is_dir():
        report_third_party.write_page(PAGE_THIRD_PARTY)
    if any(RESULTS.glob("*/native")) or not (RESULTS / "third-party").is_dir():
        report.write_page(RESULTS, PAGE, expectations.read(LEDGER))
    return 0


def main(argv: list[str]) -> int:
    """Do what `argv` says."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # a shell that starts us in the background has it ignored, and the tests, which send it to themselves, inherit that
        signal.signal(signal.SIGINT, signal.default_int_handler)
    options = parse(argv)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # what was started is stopped on the way out
    try:
        if options.command == "report":
            return write_pages()
        if options.command == "third-party":
            return third_party.run(options, console)
        if options.command == "programs":
            return run_programs.run(options, console)
        if options.command == "features":
            return feature_table.run(options, console)
    except (ValueError, OSError, subprocess.CalledProcessError) as error:
        _fail(str(error))
    return stdlib(options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
