"""The page of other projects' suites."""

from __future__ import annotations

from pathlib import Path

from compat import expectations, report, results, suites, third_party
from compat.expectations import Expectation, Verdict
from compat.suites import Suite

__all__ = ["write_page"]

_OF_EARLIER = " †"
COLUMNS = ("dhagapatch", "dhagapatch-late", "gevent", "eventlet")


def write_page(page: Path) -> None:
    """Write the page: what there are no results of here stays as it is; ValueError if there are none at all."""
    folder = third_party.RESULTS
    table, _ = suites.read(third_party.SUITES)
    ledger = expectations.read(third_party.LEDGER)
    pythons = [path.name for path in folder.glob("*") if (path / "native").is_dir()]
    if not pythons:
        raise ValueError("there are no results; run: python -m compat third-party")
    parts = [_HEAD]
    earlier = _earlier(page)
    sections = report.sections_of(page)
    sections |= {python: _of_python(folder, python, table, ledger, earlier) for python in pythons}
    for python in sorted(sections, key=report.number):
        parts += sections[python]
    parts += ["## Known failures", "", *report.known(ledger), "", "## Left out, natively too", "", *_left_out(table)]
    page.write_text("\n".join(parts).rstrip() + "\n")


def _earlier(page: Path) -> dict[tuple[str, str], dict[str, str]]:
    """The rows of the page that is to be written over, by Python and suite: what this machine has no results of is kept."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    python, header = "", []
    for line in page.read_text().splitlines() if page.exists() else ():
        if line.startswith("## "):
            python = line.removeprefix("## CPython ")
        elif line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if cells[0] == "suite":
                header = cells
            else:
                found[python, cells[0]] = dict(zip(header, cells, strict=False))
    return found


def _kept(cell: str, before: dict[str, str], column: str) -> str:
    known = before.get(column, "not run")
    return cell if cell != "not run" or known == "not run" else f"{known.removesuffix(_OF_EARLIER)}{_OF_EARLIER}"


def _of_python(
    folder: Path, python: str, table: list[Suite], ledger: list[Expectation], earlier: dict[tuple[str, str], dict[str, str]]
) -> list[str]:
    native = results.load_all(folder, python, "native")
    ran = [suite for suite in table if suite.name in native]
    names = [suite.name for suite in ran]
    found = {name: {v.module: v for v in report.verdicts(folder, python, name, names, ledger)} for name in COLUMNS}
    lines = [f"## CPython {python}", "", f"| suite | server | native | {' | '.join(COLUMNS)} | time |"]
    lines.append("|---|---|" + "--:|" * (len(COLUMNS) + 2))
    for suite in table:
        before = earlier.get((python, f"{suite.name} {suite.version}"), {})
        if suite not in ran and not before:
            continue
        cells = [_kept(report.cell(found[name].get(suite.name)), before, name) for name in COLUMNS]
        passed = str(len(native[suite.name].passed)) if suite in ran else _kept("not run", before, "native")
        time = _ratio(folder, python, suite.name)
        lines.append(f"| {suite.name} {suite.version} | {suite.server} | {passed} | {' | '.join(cells)} | {time} |")
    total = sum(len(native[name].passed) for name in names)
    shares = [report.share(list(found[name].values())) if found[name] else "not run" for name in COLUMNS]
    lines.append(f"| **in all** | | {total} | {' | '.join(shares)} | |")
    hangs = [str(_hangs(found[name])) if found[name] else "" for name in COLUMNS]
    lines.append(f"| hangs | | | {' | '.join(hangs)} | |")
    shown = {line.split(" ")[1] for line in lines if line.startswith("| ")}
    left = [suite.name for suite in table if suite.name not in shown]
    missing = [f"Not run at all: {', '.join(left)}.", ""] if left else []
    return [*lines, "", *missing, *_late(folder, python, names)]


def _hangs(found: dict[str, Verdict]) -> int:
    return sum(verdict.hangs for verdict in found.values())


def _ratio(folder: Path, python: str, name: str) -> str:
    native, here = (results.load(folder, python, launcher, name) for launcher in ("native", "dhagapatch"))
    if native is None or here is None or not native.seconds:
        return ""
    return f"{here.seconds / native.seconds:.2f}"


def _late(folder: Path, python: str, names: list[str]) -> list[str]:
    """What a late patch could not reach, by suite."""
    found = {name: results.load(folder, python, "dhagapatch-late", name) for name in names}
    lines = [
        f"- {name}: {'; '.join(f'`{item}`' for item in sorted(set(result.left)))}"
        for name, result in found.items()
        if result is not None and result.left
    ]
    return ["What the late patch reported as out of its reach:", "", *lines, ""] if lines else []


def _left_out(table: list[Suite]) -> list[str]:
    return [f"- `{suite.prefix}{entry.id}`: {entry.why}" for suite in table for entry in suite.left_out] or ["Nothing."]


_HEAD = """\
# Other projects' tests

The suites of other projects, unchanged, at pinned versions, under each runtime: how many of the tests that pass natively pass
there. A test that skips itself, or is missing, has not passed. *dhagapatch-late* starts natively and calls `patch_all()` when
every test module has been imported. What has a † is of an earlier run, not in the sums. *time* is the wall time on dhagas as a
ratio to the native one. A suite in which no test began (an import
fails under that runtime, say) is *not run*, too. Generated by `python -m compat report` from the results of
`make compat-third-party`.
"""
