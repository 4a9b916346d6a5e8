"""The rows as a table on the terminal, in Markdown, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.environment import Environment
from benchmarks.launchers import BASELINES
from benchmarks.runner import Plan, Results
from benchmarks.summary import Row, Spread

__all__ = ["as_json", "as_markdown", "print_table"]

_LEAST_WIDTH = 132  # columns, where no terminal says how wide it is
_HEADINGS = (
    "case", "runs on", "CPU us/op", "wall us/op", "peak MiB", *(f"CPU : {name}" for name in BASELINES),
)  # fmt: skip


def _number(value: float) -> str:
    """Three digits that count, and no more than two behind the point."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _spread(spread: Spread) -> str:
    return f"{_number(spread.median)} ({_number(spread.low)}-{_number(spread.high)})"


def _cells(row: Row) -> list[str]:
    """The text of a row, in the order of the headings."""
    first = [row.case.name, row.launcher.name]
    if row.cpu is None or row.wall is None or row.peak is None or row.cpu_ratios is None:
        return [*first, "failed", *[""] * (len(_HEADINGS) - 3)]
    ratios = [_spread(row.cpu_ratios[name]) if name in row.cpu_ratios else "" for name in BASELINES]
    return [*first, _spread(row.cpu), _spread(row.wall), _number(row.peak.median), *ratios]


def _notes(plan: Plan, environment: Environment) -> list[str]:
    """What a reader must know of the numbers."""
    sizes = "small sizes (--quick)" if plan.quick else "default sizes"
    rounds = "1 round" if plan.rounds == 1 else f"{plan.rounds} interleaved rounds"
    meaning = "median (lowest-highest); CPU and memory of the whole process, client and server in one; ratios: less is better"
    return [*environment.lines(), f"{rounds}, {sizes}; {meaning}"]


def print_table(rows: Sequence[Row], plan: Plan, environment: Environment, console: Console) -> None:
    """The table for the terminal."""
    if not console.is_terminal:
        console.width = max(console.width, _LEAST_WIDTH)
    table = Table(title="Benchmarks", caption="\n".join(_notes(plan, environment)), caption_justify="left")
    for heading in _HEADINGS:
        table.add_column(heading, justify="left" if heading in _HEADINGS[:2] else "right")
    last = None
    for row in rows:
        if row.case is not last and last is not None:
            table.add_section()
        cells = _cells(row)
        if row.case is last:
            cells[0] = ""
        last = row.case
        table.add_row(*cells, style="red" if row.cpu is None else None)
    console.print(table)


def as_markdown(rows: Sequence[Row], plan: Plan, environment: Environment) -> str:
    """The table for a README, with its provenance above it."""
    lines = [f"- {note}" for note in _notes(plan, environment)]
    lines += ["", f"| {' | '.join(_HEADINGS)} |", "|---|---|" + "--:|" * (len(_HEADINGS) - 2)]
    lines += [f"| {' | '.join(_cells(row))} |" for row in rows]
    return "\n".join(lines) + "\n"


def as_json(rows: Sequence[Row], plan: Plan, environment: Environment, results: Results) -> str:
    """Everything, with each sample."""
    document = {
        "environment": environment.as_json(),
        "rounds": plan.rounds,
        "quick": plan.quick,
        "units": {"cpu": "us/operation", "wall": "us/operation", "peak": "MiB"},
        "rows": [_row_as_json(row, plan.quick, results) for row in rows],
    }
    return json.dumps(document, indent=2) + "\n"


def _row_as_json(row: Row, quick: bool, results: Results) -> dict[str, Any]:
    def spread(value: Spread | None) -> dict[str, float] | None:
        return None if value is None else value._asdict()

    def ratios(values: dict[str, Spread] | None) -> dict[str, Any] | None:
        return None if values is None else {name: spread(value) for name, value in values.items()}

    return {
        "case": row.case.name,
        "launcher": row.launcher.name,
        "operation": row.case.operation,
        "arguments": row.case.quick if quick else row.case.arguments,
        "cpu": spread(row.cpu),
        "wall": spread(row.wall),
        "peak": spread(row.peak),
        "cpu_ratios": ratios(row.cpu_ratios),
        "wall_ratios": ratios(row.wall_ratios),
        "samples": [asdict(sample) for sample in row.samples],
        "failed": (row.case.name, row.launcher.name) in results.failures,
    }
