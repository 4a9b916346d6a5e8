"""A heap of deadlines that is cheap to arm and free to cancel.

Most deadlines never fire: a socket timeout is set, the data comes, the timeout is forgotten.  So a sleeper
keeps its deadline in a slot of its own (``dhaga_deadline``), and has at most one live entry in the heap, remembered
in ``dhaga_timer_at``.  To cancel is to clear the slot.  To arm again later than the entry costs nothing: when the
entry comes up, it is put back with the deadline that the slot holds by then.  Only a deadline *earlier* than
the entry is pushed; the old entry is stale from then on and is dropped when it comes up.
"""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, Protocol

from dhagapatch._real import BUILTINS as __builtins__

__all__ = ["Deadlines", "Sleeper"]

_COMPACT_AT = 64  # stale entries that are tolerated before the heap is swept


class Sleeper(Protocol):
    """What can have a deadline: two slots, in monotonic seconds, and two flags: it sleeps; its deadline has woken it."""

    dhaga_deadline: float | None
    dhaga_timer_at: float | None
    dhaga_parked: bool
    dhaga_timed_out: bool


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
            entry = (when, next(self._sequence), sleeper)
            # HAZARD: no call between the two: a finalizer that waits there would find a deadline that is not in the heap
            sleeper.dhaga_timer_at = when
            heappush(self.heap, entry)
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
            before = self.heap[:]
            live = [entry for entry in before if entry[2].dhaga_timer_at == entry[0]]
            heapify(live)
            if self.heap == before:  # HAZARD: or a finalizer has armed one meanwhile; there will be another time
                self.heap[:] = live
                self._stale = 0

    def any_live(self) -> bool:
        """Whether somebody waits for a deadline now; looks at each entry."""
        return any(sleeper.dhaga_timer_at == at and sleeper.dhaga_deadline is not None for at, _, sleeper in self.heap)

    def next_at(self) -> float | None:
        """When to look again; it may be early, as stale entries count."""
        return self.heap[0][0] if self.heap else None

    def expire(self, now: float, runq: deque[Any]) -> None:
        """Have each sleeper that is parked, and whose deadline is over, in the run queue, in the order of deadlines."""
        heap = self.heap
        while heap and heap[0][0] <= now:
            entry = heap[0]
            at, _, sleeper = entry
            # HAZARD: a finalizer may run at any call, and may wait, which makes turns: nobody may be in hand then.  So no call
            # comes before all has been noted, and the entry, which is stale by then, goes last
            if sleeper.dhaga_timer_at == at:
                sleeper.dhaga_timer_at = None
                deadline = sleeper.dhaga_deadline
                if deadline is not None and deadline > now:
                    self.arm(sleeper, deadline)
                elif deadline is not None:
                    sleeper.dhaga_deadline = None
                    if sleeper.dhaga_parked:
                        sleeper.dhaga_timed_out = True
                        sleeper.dhaga_parked = False
                        runq.append(sleeper)
            else:
                self._stale -= 1  # an earlier deadline replaced this entry, or the sleeper has ended
            if heap and heap[0] is entry:
                heappop(heap)
