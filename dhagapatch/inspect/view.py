"""What ``top`` shows."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from dhagapatch._real import BUILTINS as __builtins__

__all__ = ["rates", "view", "waits_by_place"]

_ROWS = 12


def waits_by_place(dump: dict[str, Any]) -> list[tuple[int, str, str]]:
    """How many dhagas wait at each place, and for what kind of thing; the most first."""
    counter: Counter[tuple[str, str]] = Counter()
    for hub in dump["hubs"]:
        for dhaga in hub["dhagas"]:
            if dhaga["state"] == "parked" and dhaga["stack"]:
                inner = dhaga["stack"][-1]
                counter[f"{inner['file']}:{inner['line']} in {inner['function']}", dhaga["waits_for"]["kind"]] += 1
    return [(number, place, kind) for (place, kind), number in counter.most_common(_ROWS)]


def rates(before: dict[str, Any], now: dict[str, Any]) -> dict[str, float]:
    """Switches, parks and polls a second between two answers, and how many seconds of lag 99 of 100 polls did not exceed."""
    old, new = before["counting"], now["counting"]
    passed = max(new["seconds"] - old["seconds"], 1e-6)
    result = {name: (new[name] - old[name]) / passed for name in ("switches", "parks", "polls")}
    lags = [(bound, number - former) for (bound, number), (_, former) in zip(new["lag"], old["lag"], strict=True)]
    left = sum(number for _, number in lags) * 0.01
    worst = 0.0
    for bound, number in reversed(lags):
        worst = new["longest_lag"] if bound is None else bound
        left -= number
        if left < 0:
            break
    result["lag"] = worst
    return result


def view(before: dict[str, Any], now: dict[str, Any]) -> Group:
    """Two answers, the second of which is shown; rates are those between them."""
    stats = now["stats"]
    counting, offload = stats["counting"], stats["offload"]
    speed = rates(before["stats"], stats) if before is not now else None
    lines = [
        f"process {stats['pid']}, up {counting['seconds']:.0f} s: {stats['dhagas']} dhagas in {stats['hubs']} hub(s): "
        f"{stats['running']} running, {stats['ready']} ready, {stats['parked']} parked",
        f"{stats['deadlines']} deadlines, {stats['descriptors']} descriptors; offloaded: {offload['calls']} calls on "
        f"{offload['threads']} threads ({offload['idle']} idle), {offload['queued']} queued",
    ]
    if speed is not None:
        lines.append(
            f"{speed['switches']:.0f} switches/s, {speed['parks']:.0f} parks/s, {speed['polls']:.0f} polls/s; loop lag up to "
            f"{_time(speed['lag'])} (99 %), the longest so far {_time(counting['longest_lag'])}"
        )
    return Group(Text("\n".join(lines)), _waits(now["dump"]), _stalls(now["stalls"]))


def _waits(dump: dict[str, Any]) -> Table:
    table = Table(title="waits by place", title_justify="left", expand=True)
    table.add_column("dhagas", justify="right")
    table.add_column("for")
    table.add_column("at", ratio=1, overflow="fold")
    for number, place, kind in waits_by_place(dump):
        table.add_row(str(number), kind, Text(_short(place)))
    return table


def _stalls(stalls: list[dict[str, Any]]) -> Table:
    table = Table(title="longest stalls" if stalls else "longest stalls (none seen; --stall S looks for them)")
    table.title_justify = "left"
    table.expand = True
    table.add_column("longest", justify="right")
    table.add_column("times", justify="right")
    table.add_column("in all", justify="right")
    table.add_column("dhaga")
    table.add_column("at", ratio=1, overflow="fold")
    for stall in stalls:
        place = stall["place"]
        where = Text(_short(f"{place['file']}:{place['line']} in {place['function']}"))
        table.add_row(_time(stall["longest"]), str(stall["times"]), _time(stall["total"]), stall["name"], where)
    return table


def _short(place: str) -> str:
    here = os.getcwd() + os.sep
    return place.removeprefix(here)


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"
