"""A heap of deadlines that is cheap to arm and free to cancel.

Most deadlines never fire: a socket timeout is set, the data comes, the timeout is forgotten.  So a sleeper
keeps its deadline in a slot of its own (``dhaga_deadline``), and has at most one live entry in the heap, remembered
in ``dhaga_timer_at``.  To cancel is to clear the slot.  To arm again later than the entry costs nothing: when the
entry comes up, it is put back with the deadline that the slot holds by then.  Only a deadline *earlier* than
the entry is pushed; the old entry is stale from then on and is dropped when it comes up.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Protocol

from dhagapatch._real import BUILTINS as __builtins__

__all__ = ["Deadlines", "Sleeper"]

_COMPACT_AT = 64  # stale entries that are tolerated before the heap is swept


class Sleeper(Protocol):
    """What can have a deadline: two slots, in monotonic seconds."""

    dhaga_deadline: float | None
    dhaga_timer_at: float | None


class Deadlines:
    """The deadlines of one hub, in monotonic seconds.

    `heap`, the same list always, is for who looks at each poll: the first item of the first entry is `next_at()`.
    """

    __slots__ = ("_sequence", "_stale", "heap")

    def __init__(self) -> None:
        self.heap: list[tuple[float, int, Sleeper]] = []
        self._sequence = count()
        self._stale = 0

    def __len__(self) -> int:
        return len(self.heap)

    def arm(self, sleeper: Sleeper, when: float) -> None:
        """Make sure that `sleeper` comes up at `when` or before; its slot must hold the deadline."""
        at = sleeper.dhaga_timer_at
        if at is None or when < at:
            sleeper.dhaga_timer_at = when
            heappush(self.heap, (when, next(self._sequence), sleeper))
            if at is not None:
                self._one_more_stale()

    def forget(self, sleeper: Sleeper) -> None:
        """`sleeper` has ended: its entry is dropped, at the latest when many such have gathered.

        Without this a server with an hour's timeout on each connection would keep each ended
        connection's dhaga for an hour.
        """
        if sleeper.dhaga_timer_at is None:
            return
        sleeper.dhaga_deadline = sleeper.dhaga_timer_at = None
        self._one_more_stale()

    def _one_more_stale(self) -> None:
        self._stale += 1
        if self._stale > _COMPACT_AT and self._stale * 2 > len(self.heap):
            self.heap[:] = [entry for entry in self.heap if entry[2].dhaga_timer_at == entry[0]]
            heapify(self.heap)
            self._stale = 0

    def any_live(self) -> bool:
        """Whether somebody waits for a deadline now; looks at each entry."""
        return any(sleeper.dhaga_timer_at == at and sleeper.dhaga_deadline is not None for at, _, sleeper in self.heap)

    def next_at(self) -> float | None:
        """When to look again; it may be early, as stale entries count."""
        return self.heap[0][0] if self.heap else None

    def expire(self, now: float) -> Iterator[Sleeper]:
        """Yield each sleeper whose deadline is over, once, in the order of deadlines."""
        heap = self.heap
        while heap and heap[0][0] <= now:
            at, _, sleeper = heappop(heap)
            if sleeper.dhaga_timer_at != at:
                self._stale -= 1
                continue  # an earlier deadline replaced this entry, or the sleeper has ended
            sleeper.dhaga_timer_at = None
            deadline = sleeper.dhaga_deadline
            if deadline is None:
                continue
            if deadline > now:
                self.arm(sleeper, deadline)
            else:
                sleeper.dhaga_deadline = None
                yield sleeper
