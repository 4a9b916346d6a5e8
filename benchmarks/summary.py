"""From samples to rows: medians with their spread, and ratios between launchers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from benchmarks.cases import Case
from benchmarks.launchers import Launcher
from benchmarks.runner import Plan, Results, Sample

__all__ = ["COSTS", "Row", "Spread", "ratio", "summarize"]


class Spread(NamedTuple):
    """The median of the rounds, the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """The spread of at least one value."""
        every = list(values)
        return cls(median(every), min(every), max(every))


def _cpu(sample: Sample) -> float:
    return sample.cpu_seconds / sample.operations * 1e6


def _wall(sample: Sample) -> float:
    return sample.wall_seconds / sample.operations * 1e6


def _memory(sample: Sample) -> float:
    return (sample.memory_bytes or 0) / sample.operations


COSTS: Mapping[str, Callable[[Sample], float]] = {"cpu": _cpu, "wall": _wall, "memory": _memory}  # of an operation


@dataclass(frozen=True)
class Row:
    """One case under one launcher; times in microseconds for an operation, memory in bytes for one, the peak in MiB.

    A ratio is taken within each round, of runs that followed each other, and then the median: what the machine did
    beside us in a round is in both runs. Ratios are of what the case compares, CPU time or memory.
    """

    case: Case
    launcher: Launcher
    samples: Sequence[Sample]
    problem: str = ""  # why there are no numbers
    cpu: Spread | None = None
    wall: Spread | None = None
    memory: Spread | None = None  # None, too, where it is not measured
    peak: Spread | None = None
    ratios: dict[str, Spread] = field(default_factory=dict)  # to each other launcher that ran the case


def ratio(samples: Sequence[Sample], others: Sequence[Sample], cost: Callable[[Sample], float]) -> Spread | None:
    """The first's cost as a ratio to the second's, round by round; None if there is nothing to divide by."""
    pairs = list(zip(samples, others, strict=False))  # a case with fewer rounds is compared in those that it has
    if not pairs or any(cost(theirs) <= 0 for _, theirs in pairs):
        return None
    return Spread.of(cost(ours) / cost(theirs) for ours, theirs in pairs)


def summarize(results: Results, plan: Plan) -> list[Row]:
    """A row for each case and launcher; one that failed in some round has no numbers, and nothing is compared to it."""
    rows = []
    for case in plan.cases:
        launchers = plan.runs(case)
        good = {
            launcher.name: results.samples[key]
            for launcher in launchers
            if (key := (case.name, launcher.name)) in results.samples and key not in results.failures
        }
        for launcher in launchers:
            key = (case.name, launcher.name)
            if launcher.name in good:
                rows.append(_row(case, launcher, good))
            else:
                problem = plan.absent.get(key) or results.failures.get(key) or "not run"
                rows.append(Row(case, launcher, results.samples.get(key, []), problem))
    return rows


def _row(case: Case, launcher: Launcher, good: Mapping[str, Sequence[Sample]]) -> Row:
    """The row of a case that went well."""
    samples = good[launcher.name]
    ratios = {
        name: spread
        for name, others in good.items()
        if name != launcher.name and (spread := ratio(samples, others, COSTS[case.compared])) is not None
    }
    measured = all(sample.memory_bytes is not None for sample in samples)
    return Row(
        case, launcher, samples,
        cpu=Spread.of(map(_cpu, samples)),
        wall=Spread.of(map(_wall, samples)),
        memory=Spread.of(map(_memory, samples)) if measured else None,
        peak=Spread.of(sample.peak_rss_bytes / (1 << 20) for sample in samples),
        ratios=ratios,
    )  # fmt: skip
