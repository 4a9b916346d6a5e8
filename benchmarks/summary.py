"""From samples to rows: medians with their spread, and ratios between launchers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from benchmarks.cases import Case
from benchmarks.launchers import BASELINES, Launcher
from benchmarks.runner import Results, Sample

__all__ = ["Row", "Spread", "summarize"]


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


@dataclass(frozen=True)
class Row:
    """One case under one launcher; times in microseconds for an operation, memory in MiB.

    A ratio is taken within each round, of runs that followed each other, and then the median: what the machine did
    beside us in a round is in both runs.
    """

    case: Case
    launcher: Launcher
    samples: Sequence[Sample]
    cpu: Spread | None = None  # None, as the rest: it failed
    wall: Spread | None = None
    peak: Spread | None = None
    cpu_ratios: dict[str, Spread] | None = None  # to each baseline
    wall_ratios: dict[str, Spread] | None = None


def _cpu(sample: Sample) -> float:
    return sample.cpu_seconds / sample.operations * 1e6


def _wall(sample: Sample) -> float:
    return sample.wall_seconds / sample.operations * 1e6


def _ratios(
    samples: Sequence[Sample], baselines: Mapping[str, Sequence[Sample]], cost: Callable[[Sample], float]
) -> dict[str, Spread]:
    return {
        name: Spread.of(cost(ours) / cost(theirs) for ours, theirs in zip(samples, others, strict=True))
        for name, others in baselines.items()
    }


def summarize(results: Results, cases: Sequence[Case], launchers: Sequence[Launcher]) -> list[Row]:
    """A row for each case and launcher; one that failed in some round has no numbers, and is no baseline."""
    rows = []
    for case in cases:
        good = {
            launcher.name: results.samples[key]
            for launcher in launchers
            if (key := (case.name, launcher.name)) in results.samples and key not in results.failures
        }
        for launcher in launchers:
            samples = good.get(launcher.name)
            if samples is None:
                rows.append(Row(case, launcher, results.samples.get((case.name, launcher.name), [])))
                continue
            baselines = {name: good[name] for name in BASELINES if name in good and name != launcher.name}
            rows.append(
                Row(
                    case, launcher, samples,
                    cpu=Spread.of(map(_cpu, samples)),
                    wall=Spread.of(map(_wall, samples)),
                    peak=Spread.of(sample.peak_rss_bytes / (1 << 20) for sample in samples),
                    cpu_ratios=_ratios(samples, baselines, _cpu),
                    wall_ratios=_ratios(samples, baselines, _wall),
                )
            )  # fmt: skip
    return rows
