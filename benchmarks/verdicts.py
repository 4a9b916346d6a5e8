"""Whether dhagapatch stands where it must: each target beside what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.launchers import OURS
from benchmarks.summary import COSTS, Row, Spread, ratio
from benchmarks.targets import Target, targets_of

__all__ = ["Verdict", "judge"]


@dataclass(frozen=True)
class Verdict:
    """A target and the value for it; None where it could not be measured."""

    target: Target
    value: Spread | None

    @property
    def met(self) -> bool | None:
        """Whether the median, as it is shown, with two digits behind the point, is within the limit; None if unknown."""
        return None if self.value is None else round(self.value.median, 2) <= self.target.limit


def judge(row: Row, rows: Sequence[Row]) -> list[Verdict]:
    """The verdicts on a row of dhagapatch's, in the order of the table of targets; those on others' rows are none."""
    if row.launcher.name != OURS:
        return []
    every = {(other.case.name, other.launcher.name): other for other in rows}
    return [Verdict(target, _value(target, row, every)) for target in targets_of(row.case.name)]


def _value(target: Target, row: Row, every: dict[tuple[str, str], Row]) -> Spread | None:
    """What the target bounds."""
    other = every.get((row.case.name, target.against)) or every.get((target.against, OURS))
    if other is None or other.problem or row.problem:
        return None
    cost = COSTS[target.quantity or row.case.compared]
    if target.unit == "ratio":
        return ratio(row.samples, other.samples, cost)
    pairs = zip(row.samples, other.samples, strict=False)
    return Spread.of((cost(ours) - cost(theirs)) / 1000 for ours, theirs in pairs)
