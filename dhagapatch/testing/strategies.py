"""Who runs next: the ways in which `explore` goes through the interleavings of a program's threads.

Run 0 is a plain one, in which nobody is interrupted.  Then two kinds take turns: a random walk, which at each point goes on with
whoever is ready with some probability, and PCT: threads have random priorities, the highest that is ready runs, and at a few
random points the one that runs falls behind all others.  With n threads and k points that finds a fault of depth d with a
probability of at least 1/(n k^(d-1)) in each run (Burckhardt, Kothari, Musuvathi and Nagarakatte: A Randomized Scheduler
with Probabilistic Guarantees of Finding Bugs, ASPLOS 2010).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Protocol

from dhagapatch._real import BUILTINS as __builtins__

__all__ = ["Plain", "Priorities", "RandomWalk", "Strategy", "make_strategy"]

_CHANCES = (1.0, 0.2, 0.05)  # that it is decided anew, at a point of a random walk
_DEPTHS = (2, 3, 4)


class Strategy(Protocol):
    """Decides at each point of one run.  `here` is the one that runs; `ready` are those that could, the longest-ready first."""

    def at_point(self, here: Any, ready: Sequence[Any]) -> Any:
        """Who goes on: `here`, or one of `ready`."""

    def at_wait(self, ready: Sequence[Any]) -> Any:
        """Who goes on, now that the one that ran waits."""

    def gave_way(self, here: Any) -> None:
        """`here` asks by itself that others run."""


class Plain:
    """Nobody is interrupted."""

    def at_point(self, here: Any, ready: Sequence[Any]) -> Any:
        return here

    def at_wait(self, ready: Sequence[Any]) -> Any:
        return ready[0]

    def gave_way(self, here: Any) -> None:
        pass


class RandomWalk(Plain):
    """At each point, with some chance, it is decided anew who goes on."""

    def __init__(self, source: random.Random, chance: float) -> None:
        self._source = source
        self._chance = chance

    def at_point(self, here: Any, ready: Sequence[Any]) -> Any:
        return self._source.choice((here, *ready)) if self._source.random() < self._chance else here

    def at_wait(self, ready: Sequence[Any]) -> Any:
        return self._source.choice(ready)


class Priorities:
    """PCT: `depth` - 1 changes of priority among the first `points` points."""

    def __init__(self, source: random.Random, depth: int, points: int) -> None:
        self._source = source
        self._changes = {source.randint(1, max(points, 1)) for _ in range(depth - 1)}
        self._of: dict[Any, float] = {}
        self._lowest = 0.0
        self._at = 0

    def _priority(self, one: Any) -> float:
        if one not in self._of:
            self._of[one] = 1 + self._source.random()
        return self._of[one]

    def gave_way(self, here: Any) -> None:
        self._lowest -= 1
        self._of[here] = self._lowest

    def at_point(self, here: Any, ready: Sequence[Any]) -> Any:
        self._at += 1
        if self._at in self._changes:
            self.gave_way(here)
        return max((here, *ready), key=self._priority)

    def at_wait(self, ready: Sequence[Any]) -> Any:
        return max(ready, key=self._priority)


def make_strategy(seed: int, number: int, points: int) -> Strategy:
    """That of run `number`; `points` is how many the longest run so far had."""
    if not number:
        return Plain()
    source = random.Random(f"{seed}:{number}")
    kind = number // 2 % 3
    return Priorities(source, _DEPTHS[kind], points) if number % 2 else RandomWalk(source, _CHANCES[kind])
