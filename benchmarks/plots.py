"""Pictures of the rows, as SVG: ratios with their targets, echo by connections, growth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib  # type: ignore[import-not-found, unused-ignore]
from matplotlib.axes import Axes  # type: ignore[import-not-found, unused-ignore]
from matplotlib.figure import Figure  # type: ignore[import-not-found, unused-ignore]

from benchmarks.launchers import LAUNCHERS, OURS
from benchmarks.summary import Row, Spread
from benchmarks.targets import targets_of

__all__ = ["draw_all"]

_COLOURS = {
    "threads": "#7f7f7f", "gevent": "#2ca02c", "eventlet": "#ff7f0e", OURS: "#d62728",
    "asyncio": "#9467bd", "uvloop": "#1f77b4", "epoll": "#000000",
}  # fmt: skip
_PEERS = tuple(launcher.name for launcher in LAUNCHERS if launcher.name != OURS and not launcher.rewrite)
_WIDTH = 9.0  # inches
# the same numbers give the same file, which git then does not see as changed
_STYLE: dict[Any, Any] = {"svg.hashsalt": "benchmarks", "svg.fonttype": "none", "font.size": 9}


def draw_all(rows: Sequence[Row], folder: Path, prefix: str) -> list[Path]:
    """Draw what the rows have data for into `folder`, with file names that begin with `prefix`; the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    with matplotlib.rc_context(_STYLE):
        for name, draw in (("ratios", _ratios), ("echo", _echo), ("growth", _growth)):
            figure = draw(rows)
            if figure is not None:
                file = folder / f"{prefix}-{name}.svg"
                figure.savefig(file, format="svg", metadata={"Date": None}, bbox_inches="tight")
                files.append(file)
    return files


def _ratios(rows: Sequence[Row]) -> Figure | None:
    """Dhagapatch to each peer, a line for each case, with the targets as small strokes."""
    ours = [row for row in rows if row.launcher.name == OURS and any(name in row.ratios for name in _PEERS)]
    if not ours:
        return None
    figure = Figure(figsize=(_WIDTH, 1.2 + 0.24 * len(ours)))
    axes = figure.subplots()
    for name in _PEERS:
        points = [(row.ratios[name], place) for place, row in enumerate(ours) if name in row.ratios]
        _points(axes, points, name)
        limits = [
            (target.limit, place)
            for place, row in enumerate(ours)
            for target in targets_of(row.case.name)
            if target.against == name and target.unit == "ratio"
        ]
        axes.plot([x for x, _ in limits], [y for _, y in limits], "|", color=_COLOURS[name], markersize=9)
    axes.axvline(1, color="#cccccc", zorder=0)
    axes.set_xscale("log")
    axes.set_yticks(range(len(ours)), [row.case.name for row in ours])
    axes.set_ylim(len(ours) - 0.5, -0.5)
    axes.set_xlabel("cost under dhagapatch : cost under the other (less is better; strokes are targets)")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="best")
    return figure


def _points(axes: Axes, points: Sequence[tuple[Spread, int]], name: str) -> None:
    """Medians with their spread."""
    if not points:
        return
    medians = [spread.median for spread, _ in points]
    errors = [
        [spread.median - spread.low for spread, _ in points],
        [spread.high - spread.median for spread, _ in points],
    ]
    axes.errorbar(
        medians, [place for _, place in points], xerr=errors, fmt="o", markersize=4, label=name, color=_COLOURS[name]
    )


def _connections(row: Row) -> int:
    """The number of connections in a case's name."""
    return int(row.case.name.rpartition("-")[2])


def _lines(axes: Axes, rows: Sequence[Row], value: Callable[[Row], Spread | None]) -> None:
    """A line for each launcher over the number of connections."""
    for launcher in LAUNCHERS:
        points = sorted(
            (_connections(row), spread.median)
            for row in rows
            if row.launcher.name == launcher.name and (spread := value(row)) is not None
        )
        if points:
            across, up = [x for x, _ in points], [y for _, y in points]
            axes.plot(across, up, "o-", markersize=4, label=launcher.name, color=_COLOURS[launcher.name])
    axes.set_xscale("log")
    axes.set_xlabel("connections")
    axes.grid(alpha=0.3)


def _of(rows: Sequence[Row], prefix: str) -> list[Row]:
    """The rows of cases that are called `prefix` and a number."""
    return [row for row in rows if row.case.name.removeprefix(f"{prefix}-").isdigit() and not row.problem]


def _echo(rows: Sequence[Row]) -> Figure | None:
    """CPU time for a round trip over the number of connections."""
    echo = _of(rows, "echo")
    if not echo:
        return None
    figure = Figure(figsize=(_WIDTH, 4))
    axes = figure.subplots()
    _lines(axes, echo, lambda row: row.cpu)
    axes.set_yscale("log")
    axes.set_ylabel("CPU microseconds for a round trip, both sides")
    axes.legend(loc="best")
    return figure


def _growth(rows: Sequence[Row]) -> Figure | None:
    """CPU time for a message and memory for a connection over the number of connections."""
    growth = _of(rows, "growth")
    if not growth:
        return None
    figure = Figure(figsize=(_WIDTH, 4))
    left, right = figure.subplots(1, 2)
    _lines(left, growth, lambda row: row.cpu)
    left.set_yscale("log")
    left.set_ylabel("CPU microseconds for a message, the server's")
    _lines(right, growth, lambda row: row.memory)
    right.set_ylim(bottom=0)
    right.set_ylabel("bytes of memory for a connection, the server's")
    left.legend(loc="best")
    figure.tight_layout()
    return figure
