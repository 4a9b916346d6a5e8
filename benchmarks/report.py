"""The rows as tables on the terminal, in Markdown, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.environment import Environment
from benchmarks.launchers import LAUNCHERS, OURS
from benchmarks.runner import Plan, Results
from benchmarks.summary import Row, Spread
from benchmarks.verdicts import Verdict, judge

__all__ = ["all_rows", "as_json", "as_markdown", "as_percent", "notes", "print_tables", "standing"]

_LEAST_WIDTH = 150  # columns, where no terminal says how wide it is
_PEERS = tuple(launcher.name for launcher in LAUNCHERS if launcher.name != OURS and not launcher.rewrite)
_REWRITTEN = tuple(launcher.name for launcher in LAUNCHERS if launcher.rewrite)
_NONE = "-"

STANDING = ("case", OURS, *(f": {name}" for name in _PEERS), "others", "target", "met")
ALL = ("case", "runs on", "CPU us/op", "wall us/op", "memory B/op", "peak MiB")
_TEXT = {STANDING: (0, 5, 6, 7), ALL: (0, 1)}  # the columns that are not numbers


class Lines(list[list[str]]):
    """The cells of a table's rows, and the footnotes under it."""

    def __init__(self) -> None:
        super().__init__()
        self.footnotes: list[str] = []

    def mark(self, row: Row) -> str:
        """A dash with a footnote that says why there are no numbers."""
        text = f"{row.case.name} under {row.launcher.name}: {_short(row)}"
        if text not in self.footnotes:
            self.footnotes.append(text)
        return f"{_NONE} [{self.footnotes.index(text) + 1}]"


def _short(row: Row) -> str:
    """A problem in one line: without its beginning, which names the row; an exit code with the program's last words."""
    lines = row.problem.splitlines()
    text = lines[0].rpartition(": ")[2]
    return f"{text}, {lines[-1].removeprefix('  | ')}" if text.startswith("exit code") else text


def _number(value: float) -> str:
    """Three digits that count, and no more than two behind the point."""
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 else f"{value:,.0f}"


def _spread(spread: Spread | None) -> str:
    """A median, and how far the rounds were from it, where there was more than one."""
    if spread is None:
        return ""
    if spread.low == spread.high:
        return _number(spread.median)
    return f"{_number(spread.median)} ({_number(spread.low)}-{_number(spread.high)})"


def _target(verdict: Verdict, own: str) -> str:
    """A target in words."""
    target = verdict.target
    what = f"{target.quantity} " if target.quantity and target.quantity != own else ""
    if target.unit == "ratio":
        return f"{what}{target.against} {target.limit:g}"
    return f"{what}{target.against} + {target.limit:g} {target.unit.partition(' ')[0]}"


def _met(verdicts: Sequence[Verdict], own: str) -> str:
    """Whether all targets are met; if not, which are not, with the value."""
    missed = [
        f"{_target(verdict, own).rpartition(' ')[0] if verdict.target.unit == 'ratio' else verdict.target.against}"
        f" {_number(verdict.value.median)}"
        for verdict in verdicts
        if verdict.met is False and verdict.value is not None
    ]
    unknown = [verdict.target.against for verdict in verdicts if verdict.met is None]
    if missed:
        return f"no: {', '.join(missed)}"
    return f"yes, but {', '.join(unknown)} unknown" if unknown else "yes"


def standing(rows: Sequence[Row]) -> Lines:
    """A line for each case: what it costs under dhagapatch, as a ratio to each peer, with the targets."""
    lines = Lines()
    every = {(row.case.name, row.launcher.name): row for row in rows}
    for row in rows:
        if row.launcher.name != OURS:
            continue
        own = row.case.compared
        verdicts = judge(row, rows)
        if row.problem:
            cost = lines.mark(row)
        else:
            spread: Spread | None = getattr(row, own)
            median = spread.median if spread is not None else 0.0
            cost = f"{_number(median)} {'B' if own == 'memory' else 'us'}/{row.case.operation}"
        cells = [row.case.name, cost]
        for name in _PEERS:
            other = every.get((row.case.name, name))
            cells.append(_spread(row.ratios.get(name)) or (lines.mark(other) if other and other.problem else ""))
        others = [f"{name} {_number(row.ratios[name].median)}" for name in _REWRITTEN if name in row.ratios]
        others += [
            f"{_target(verdict, own).rpartition(' ')[0]} {_number(verdict.value.median)}"
            for verdict in verdicts
            if verdict.value and verdict.target.unit == "ratio" and verdict.target.against not in row.ratios
        ]
        others += [
            f"{verdict.target.against} + {_number(verdict.value.median)} {verdict.target.unit.partition(' ')[0]}"
            for verdict in verdicts
            if verdict.value and verdict.target.unit != "ratio"
        ]
        targets = "; ".join(_target(verdict, own) for verdict in verdicts)
        lines.append([*cells, ", ".join(others), targets, _met(verdicts, own)])
    return lines


def all_rows(rows: Sequence[Row]) -> Lines:
    """A line for each case under each launcher: its costs."""
    lines = Lines()
    for row in rows:
        first = [row.case.name, row.launcher.name]
        if row.problem:
            lines.append([*first, lines.mark(row), *[""] * (len(ALL) - 3)])
        else:
            peak = _number(row.peak.median) if row.peak else ""
            lines.append([*first, _spread(row.cpu), _spread(row.wall), _spread(row.memory), peak])
    return lines


def as_percent(rows: Sequence[Row]) -> str:
    """How many of the targets are met, in words."""
    verdicts = [verdict for row in rows for verdict in judge(row, rows)]
    met = sum(verdict.met is True for verdict in verdicts)
    unknown = sum(verdict.met is None for verdict in verdicts)
    text = f"{met} of {len(verdicts)} targets met"
    return f"{text}, {unknown} unknown" if unknown else text


def notes(plan: Plan, environment: Environment, rounds: int) -> list[str]:
    """What a reader must know of the numbers."""
    sizes = "small sizes (--quick)" if plan.quick else "default sizes"
    times = "1 round" if rounds == 1 else f"{rounds} interleaved rounds, of what takes long fewer, median (lowest-highest)"
    return [
        *environment.lines(),
        f"{times}, {sizes}; CPU time of the whole process, client and server in one unless the case says otherwise",
        "ratios are of CPU time (idle threads: of memory; calls in C: of the wall), dhagapatch to the other, in the same rounds:"
        " less is better",
    ]


def _print_table(title: str, head: tuple[str, ...], lines: Lines, console: Console) -> None:
    """One table for the terminal."""
    footnotes = [f"[{number}] {text}" for number, text in enumerate(lines.footnotes, 1)]
    table = Table(title=title, caption="\n".join(footnotes).replace("[", r"\["), caption_justify="left")
    for number, heading in enumerate(head):
        table.add_column(heading, justify="left" if number in _TEXT[head] else "right", overflow="fold")
    last = ""
    for line in lines:
        if head is ALL and last and line[0] != last:
            table.add_section()
        shown = ["" if head is ALL and line[0] == last else line[0], *line[1:]]
        last = line[0]
        table.add_row(*(cell.replace("[", r"\[") for cell in shown), style="red" if line[-1].startswith("no:") else None)
    console.print(table)


def print_tables(rows: Sequence[Row], plan: Plan, environment: Environment, rounds: int, console: Console) -> None:
    """The tables for the terminal."""
    if not console.is_terminal:
        console.width = max(console.width, _LEAST_WIDTH)
    _print_table("Costs", ALL, all_rows(rows), console)
    lines = standing(rows)
    if lines:
        _print_table(f"Where dhagapatch stands: {as_percent(rows)}", STANDING, lines, console)
    for note in notes(plan, environment, rounds):
        console.print(note, markup=False, highlight=False)


def as_markdown(head: tuple[str, ...], lines: Lines) -> str:
    """A table with its footnotes."""
    rules = "|".join("---" if number in _TEXT[head] else "--:" for number in range(len(head)))
    text = [f"| {' | '.join(head)} |", f"|{rules}|", *(f"| {' | '.join(line)} |" for line in lines)]
    if lines.footnotes:
        text += ["", *(f"- [{number}] {footnote}" for number, footnote in enumerate(lines.footnotes, 1))]
    return "\n".join(text) + "\n"


def as_json(rows: Sequence[Row], plan: Plan, environment: Environment, results: Results) -> str:
    """Everything, with each sample."""
    document = {
        "environment": environment.as_json(),
        "rounds": results.rounds,
        "quick": plan.quick,
        "units": {"cpu": "us/operation", "wall": "us/operation", "memory": "bytes/operation", "peak": "MiB"},
        "rows": [_row_as_json(row, rows, plan.quick) for row in rows],
    }
    return json.dumps(document, indent=2) + "\n"


def _row_as_json(row: Row, rows: Sequence[Row], quick: bool) -> dict[str, Any]:
    def spread(value: Spread | None) -> dict[str, float] | None:
        return None if value is None else value._asdict()

    return {
        "case": row.case.name,
        "launcher": row.launcher.name,
        "operation": row.case.operation,
        "arguments": row.case.quick if quick else row.case.arguments,
        "compared": row.case.compared,
        "cpu": spread(row.cpu),
        "wall": spread(row.wall),
        "memory": spread(row.memory),
        "peak": spread(row.peak),
        "ratios": {name: spread(value) for name, value in row.ratios.items()},
        "targets": [
            {**verdict.target._asdict(), "value": spread(verdict.value), "met": verdict.met} for verdict in judge(row, rows)
        ],
        "samples": [asdict(sample) for sample in row.samples],
        "problem": row.problem or None,
    }
