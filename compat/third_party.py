"""``python -m compat third-party``: the suites of other projects, natively and on dhagas."""

from __future__ import annotations

import argparse
import json
import os
import string
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from compat import environments, expectations, fence, report, results, servers, suites
from compat.environments import Environment
from compat.expectations import Expectation
from compat.launchers import LAUNCHERS, Launcher
from compat.results import Outcome, Result
from compat.suites import Suite
from compat.supervise import run_to_end

__all__ = ["LEDGER", "RESULTS", "SUITES", "add_options", "cache_folder", "environ_of", "run", "run_suite"]

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "third-party"
LEDGER = HERE / "expectations" / "third_party.toml"
SUITES = HERE / "suites.toml"
PINS = HERE / "pins"  # what `pip freeze` said of each suite's environment
INSIDE = HERE / "inside"
SETTINGS = HERE / "settings"
CHOICES = ("native", "dhagapatch", "gevent", "eventlet")
FORGOTTEN = ("PYTHON", "PYTEST_", "DHAGAPATCH_", "GEVENT_", "EVENTLET_", "COVERAGE_")  # of the caller's environment


def add_options(parser: argparse.ArgumentParser, python: str) -> None:
    """The command line of the command."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="suites (default: all that are in suites.toml)")
    parser.add_argument("--launcher", nargs="+", choices=CHOICES, default=["dhagapatch"], help="default: dhagapatch")
    parser.add_argument("--late", action="store_true", help="also start natively, and patch when all is imported")
    parser.add_argument("--python", default=python, metavar="PY", help="the interpreter (default: this one)")
    cache = cache_folder()
    parser.add_argument("--cache", type=Path, default=cache, metavar="DIR", help=f"virtual environments (default: {cache})")
    parser.add_argument("--tests", nargs="+", metavar="ID", help="only these node ids; no result is kept")
    parser.add_argument("--fresh", action="store_true", help="run natively again, though an earlier run's results are there")
    parser.add_argument("--texts", action="store_true", help="print what each unexpected failure said")
    parser.add_argument("--list", action="store_true", help="list the suites and what they need")


def cache_folder() -> Path:
    """Where virtual environments and source distributions are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "dhagapatch-compat"


def run_suite(
    suite: Suite,
    launcher: Launcher,
    version: str,
    environment: Environment,
    native: Result | None,
    skips: list[str],
    told: Callable[[str, Outcome], None],
    tests: list[str] | None = None,
) -> Result:
    """Run one suite to its end in a fresh copy of its source distribution, with the server it needs; `tests`: these only."""
    with tempfile.TemporaryDirectory(prefix="compat-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for part in ("home", "server", "tmp"):
            (folder / part).mkdir()
        cwd = environment.unpack()
        with servers.running(suite.server, folder / "server") as facts:
            if (SETTINGS / suite.name).is_dir():
                _put_beside(SETTINGS / suite.name, cwd, facts)
            environ = environ_of(environment.python, folder)
            environ.update({key: value.format_map(facts) for key, value in suite.environ.items()})
            environ.update(launcher.environ)
            environ["PYTHONPATH"] = str(INSIDE)
            left_out = [suite.prefix + entry.id for entry in suite.left_out] + skips
            told_where = {"events": str(folder / "events"), "done": str(folder / "done")}
            told_what = {"left_out": left_out, "prefix": suite.prefix, "launcher": launcher.name}
            environ["COMPAT_RUN"] = json.dumps({**told_where, **told_what})
            command = [environment.python, *launcher.prefix, *launcher.module, "pytest", "-p", "compat_pytest"]
            command += ["-p", "no:cacheprovider", "--continue-on-collection-errors"]
            arguments = suite.args if tests is None else _only(suite, tests, cwd)
            command += [argument.format_map(facts) for argument in arguments]
            result = Result(suite.name, version, launcher.name)
            return run_to_end(result, command, environ, folder, cwd, native, lambda key: False, told)


def _put_beside(settings: Path, top: Path, facts: dict[str, str]) -> None:
    """Copy a suite's settings into its top folder, those that are templates filled in; never over a file of the project."""
    for path in sorted(path for path in settings.rglob("*") if path.is_file()):
        target = top / path.relative_to(settings)
        text = path.read_text()
        if target.suffix == ".template":
            target, text = target.with_suffix(""), string.Template(text).substitute(facts)
        if target.exists():
            raise ValueError(f"{path}: {target.name} is a file of the project")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def _only(suite: Suite, tests: list[str], top: Path) -> list[str]:
    """The suite's options with their values, without its paths, and some tests."""
    options = [argument for argument in suite.args if not (top / argument).exists()]
    return options + [test.removeprefix(suite.prefix).replace("{", "{{").replace("}", "}}") for test in tests]


def environ_of(python: str, folder: Path) -> dict[str, str]:
    """As in a fresh shell of a user with an empty home folder and no proxy, the virtual environment activated.

    What is left in the folder for temporary files would be found by the next run.
    """
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(FORGOTTEN) and not name.lower().endswith("_proxy")
    }
    path = f"{Path(python).parent}{os.pathsep}{environ.get('PATH', os.defpath)}"
    venv = {"VIRTUAL_ENV": str(Path(python).parents[1])}
    return {**environ, "PATH": path, "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), **venv}


def _one(
    console: Console,
    suite: Suite,
    launcher: Launcher,
    version: str,
    environment: Environment,
    ledger: list[Expectation],
    tests: list[str] | None,
) -> Result:
    """Run a suite, tell how it goes and keep the result."""
    skips = [entry.id for entry in ledger if entry.outcome == "skip" and entry.holds(version, launcher.name)]
    native = None if launcher.name == "native" else results.load(RESULTS, version, "native", suite.name)

    def told(key: str, outcome: Outcome) -> None:
        console.print(f"{outcome.outcome}: {key}", markup=False)

    try:
        with console.status(f"{suite.name} {suite.version}, {launcher.name}"):
            result = run_suite(suite, launcher, version, environment, native, skips, told, tests)
    except servers.ServerFailed as error:
        result = Result(suite.name, version, launcher.name, problem=str(error))
    if tests is None and result.outcomes:
        results.save(RESULTS, result)
    counts: dict[str, int] = {}
    for outcome in result.outcomes.values():
        counts[outcome.outcome] = counts.get(outcome.outcome, 0) + 1
    text = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    console.print(f"{suite.name} {suite.version}, {launcher.name}: {text or 'no test'}; {result.seconds:.0f} s", markup=False)
    if result.problem:
        console.print(f"{suite.name}: {result.problem}", markup=False)
    return result


def run(options: argparse.Namespace, console: Console) -> int:
    """The exit code; ValueError or OSError for what is wrong with the command line or the tables."""
    table, runtimes = suites.read(SUITES)
    chosen = suites.choose(table, options.names)
    ledger = expectations.read(LEDGER)
    if options.list:
        for suite in chosen:
            lacks = f"; {lack}" if (lack := servers.missing(suite.server)) else ""
            console.print(f"{suite.name} {suite.version}{f' ({suite.server})' if suite.server else ''}{lacks}", markup=False)
        return 0
    look = [options.python, "-c", "import sys; print(sys.version.split()[0])"]
    version = subprocess.run(look, capture_output=True, text=True, check=True).stdout.strip()
    ready = _prepared(options, console, version, chosen, runtimes)
    if not fence.fence():
        console.print("no network namespace can be made here: tests that reach for other machines will find them, or not")
    names = [*dict.fromkeys([*options.launcher, *(["dhagapatch-late"] if options.late else [])])]
    for suite, environment in ready:
        known = results.load(RESULTS, version, "native", suite.name)
        first = ["native"] if known is None or options.fresh else []
        for name in dict.fromkeys([*first, *names]):
            result = _one(console, suite, LAUNCHERS[name], version, environment, ledger, options.tests)
            if options.tests:
                _texts(console, result)
    if options.tests:
        return 0
    ran = [suite.name for suite, _ in ready]
    red = [_judged(console, version, name, ran, ledger, options.texts) for name in names if name != "native"]
    return 2 if len(ready) < len(chosen) else int(any(red))


def _prepared(
    options: argparse.Namespace, console: Console, version: str, chosen: list[Suite], runtimes: dict[str, str]
) -> list[tuple[Suite, Environment]]:
    """The suites that can be run; tells what the others lack."""
    ready = []
    for suite in chosen:
        if lack := servers.missing(suite.server):
            console.print(f"{suite.name}: {lack}", markup=False)
            continue
        try:
            with console.status(f"{suite.name} {suite.version}: a virtual environment"):
                pins = PINS / f"{suite.name}.txt"
                ready.append((suite, environments.prepare(suite, options.python, version, options.cache, pins, runtimes)))
        except environments.EnvironmentFailed as error:
            console.print(f"{suite.name}: {error}", markup=False)
    return ready


def _texts(console: Console, result: Result) -> None:
    for key, outcome in result.outcomes.items():
        console.print(f"{outcome.outcome}: {key}\n{outcome.text}", markup=False)


def _judged(console: Console, version: str, launcher: str, names: list[str], ledger: list[Expectation], texts: bool) -> bool:
    """Whether the run was not as expected; a peer's is what it is."""
    verdicts = report.verdicts(RESULTS, version, launcher, names, ledger)
    report.show(console, version, launcher, verdicts, texts=texts)
    console.print(f"passed {report.share(verdicts)}")
    stale = report.stale(ledger, version, launcher, verdicts, RESULTS, "{}/")
    for entry in stale:
        console.print(f"the ledger names {entry.id}, which is not a test that passes natively", markup=False)
    return launcher.startswith("dhagapatch") and (bool(stale) or any(verdict.red for verdict in verdicts))
