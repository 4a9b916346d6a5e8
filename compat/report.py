"""What runs gave: on the terminal, and as a page of the documentation."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from compat import expectations, modules, results
from compat.expectations import Expectation, Verdict

__all__ = ["cell", "known", "number", "sections_of", "share", "show", "stale", "totals", "verdicts", "write_page"]

SHOWN = 20  # tests of a module that are named one by one
COLUMNS = ("native", "dhagapatch", "dhagapatch-timeslice", "dhagapatch-children", "gevent", "eventlet")


def verdicts(folder: Path, python: str, launcher: str, names: list[str], ledger: list[Expectation]) -> list[Verdict]:
    """Each module's verdict, where there are results of both."""
    entries = [entry for entry in ledger if entry.holds(python, launcher)]
    found = []
    for name in names:
        native = results.load(folder, python, "native", name)
        result = results.load(folder, python, launcher, name)
        if native is not None and result is not None:
            found.append(expectations.judge(native, result, entries))
    return found


def stale(
    ledger: list[Expectation], python: str, launcher: str, found: list[Verdict], folder: Path, prefix: str = "test.{}."
) -> list[Expectation]:
    """Entries of the modules that were run which match no test that passes natively; `prefix`: what a module's ids begin with."""
    ran = [verdict.module for verdict in found]
    keys = [key for name in ran for key in (results.load(folder, python, "native", name) or results.Result("", "", "")).passed]
    return [
        entry
        for entry in ledger
        if entry.holds(python, launcher)
        and any(entry.id.startswith(prefix.format(name)) for name in ran)
        and not any(entry.matches(key) for key in keys)
    ]


def share(found: list[Verdict]) -> str:
    """How many of the tests that pass natively passed."""
    baseline, passed = sum(verdict.baseline for verdict in found), sum(verdict.passed for verdict in found)
    return f"{passed} of {baseline} ({100 * passed / baseline:.2f} %)" if baseline else "none"


def _near(found: list[Verdict]) -> list[Verdict]:
    return [verdict for verdict in found if verdict.module not in modules.DISTANT]


def show(console: Console, python: str, launcher: str, found: list[Verdict], *, texts: bool) -> None:
    """A table of the modules where something was lost, and the tests."""
    table = Table(title=f"{launcher}, CPython {python}: what passes natively, and not here")
    for column in ("module", "native", "passed", "expected", "unexpected", "hangs"):
        table.add_column(column, justify="left" if column == "module" else "right")
    for verdict in found:
        if verdict.lost or verdict.red:
            counts = (verdict.baseline, verdict.passed, len(verdict.expected), len(verdict.unexpected), verdict.hangs)
            table.add_row(verdict.module, *map(str, counts))
    console.print(table)
    for verdict in found:
        for key, outcome in list(verdict.unexpected.items())[:SHOWN]:
            last = (outcome.text.strip().splitlines() or [""])[-1]
            console.print(f"{outcome.outcome}: {key}: {last[:160]}", markup=False)
            if texts:
                console.print(outcome.text, markup=False)
        if len(verdict.unexpected) > SHOWN:
            console.print(f"and {len(verdict.unexpected) - SHOWN} more of {verdict.module}")
        for key in verdict.passes:
            console.print(f"passes, against the ledger: {key}", markup=False)
        if verdict.problem:
            console.print(f"{verdict.module}: {verdict.problem if texts else verdict.problem.splitlines()[0]}", markup=False)


def totals(found: list[Verdict]) -> str:
    """The line under the table of the interpreter's own tests."""
    return f"passed {share(found)}; without the modules that hardly touch a patch {share(_near(found))}"


def write_page(folder: Path, page: Path, ledger: list[Expectation]) -> None:
    """Write the page: Pythons without results here keep what it says of them; ValueError if there are no results at all."""
    pythons = [path.name for path in folder.glob("*") if (path / "native").is_dir()]
    if not pythons:
        raise ValueError("there are no results; run: python -m compat stdlib")
    sections = {**sections_of(page), **{python: _of_python(folder, python, ledger) for python in pythons}}
    parts = [_HEAD]
    for python in sorted(sections, key=number):
        parts += sections[python]
    parts += ["## Known failures", "", *known(ledger)]
    page.write_text("\n".join(parts).rstrip() + "\n")


def sections_of(page: Path) -> dict[str, list[str]]:
    """The sections of the page that is to be written over, by Python."""
    sections: dict[str, list[str]] = {}
    python = ""
    for line in page.read_text("utf-8").splitlines() if page.exists() else ():
        if line.startswith("## "):
            python = line.removeprefix("## CPython ") if line.startswith("## CPython ") else ""
        if python:
            sections.setdefault(python, []).append(line)
    return sections


def number(python: str) -> tuple[int, ...]:
    """A version, to sort by."""
    return tuple(int(part) for part in python.split("."))


def _of_python(folder: Path, python: str, ledger: list[Expectation]) -> list[str]:
    native = results.load_all(folder, python, "native")
    columns = [name for name in COLUMNS[1:] if (folder / python / name).is_dir()]
    found = {name: {v.module: v for v in verdicts(folder, python, name, list(native), ledger)} for name in columns}
    lines = [f"## CPython {python}", "", f"| module | native | {' | '.join(columns)} |", "|---|" + "--:|" * (len(columns) + 1)]
    for module, result in native.items():
        cells = [cell(found[name].get(module)) for name in columns]
        lines.append(f"| {module} | {len(result.passed)} | {' | '.join(cells)} |")
    total = sum(len(result.passed) for result in native.values())
    lines.append(f"| **in all** | {total} | {' | '.join(share(list(found[name].values())) for name in columns)} |")
    near = sum(len(result.passed) for module, result in native.items() if module not in modules.DISTANT)
    shares = [share(_near(list(found[name].values()))) for name in columns]
    lines.append(f"| **without what hardly touches a patch** | {near} | {' | '.join(shares)} |")
    hangs = [str(sum(verdict.hangs for verdict in found[name].values())) for name in columns]
    lines.append(f"| hangs | | {' | '.join(hangs)} |")
    seconds = [_seconds(folder, python, name, set(found[name])) for name in columns]
    lines.append(f"| wall time as a ratio to native | | {' | '.join(seconds)} |")
    if "dhagapatch-children" in columns:
        ran = results.load_all(folder, python, "dhagapatch-children").values()
        patched, alone = (sum(result.children[at] for result in ran) for at in (0, 1))
        text = f"With `--children`, {patched} Python processes that tests started were patched, {alone} isolated ones left alone."
        lines += ["", text]
    return [*lines, ""]


def cell(verdict: Verdict | None) -> str:
    """For a page: how many passed, in bold if some were lost."""
    if verdict is None:
        return "not run"
    hangs = f", {verdict.hangs} hung" if verdict.hangs else ""
    return str(verdict.passed) if verdict.passed == verdict.baseline else f"**{verdict.passed}**{hangs}"


def _seconds(folder: Path, python: str, launcher: str, names: set[str]) -> str:
    native = results.load_all(folder, python, "native")
    here = results.load_all(folder, python, launcher)
    # what hung natively took its whole limit there, and is left out here
    names = {name for name in names if all(outcome.outcome != "hang" for outcome in native[name].outcomes.values())}
    base = sum(native[name].seconds for name in names)
    return f"{sum(here[name].seconds for name in names) / base:.2f}" if base else ""


def known(ledger: list[Expectation]) -> list[str]:
    """For a page: the ledger as a list."""
    if not ledger:
        return ["None."]
    lines = []
    for entry in ledger:
        where = f" (CPython {', '.join(entry.python)})" if entry.python else ""
        strict = _ONLY.get(entry.launchers, "")
        lines.append(f"- `{entry.id}`{where}{strict}: {entry.why}")
    return lines


_ONLY: dict[tuple[str, ...], str] = {
    ("dhagapatch-children",): " (only where children are patched too)",
    ("dhagapatch-late",): " (only with a late patch)",
}
_HEAD = """\
# The standard library's own tests

The interpreter's own test modules, unchanged, under each runtime: how many of the tests that pass natively pass there. A test
that skips itself, or is missing, has not passed. Generated by `python -m compat report` from the results of `make compat`.
"""
