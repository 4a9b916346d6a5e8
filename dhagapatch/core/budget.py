"""How much the running thread may do before the others get their turn.

With threads a call that comes through at once lets others run too, as it lets go of the interpreter, and the interpreter preempts
who calls nothing but locks.  Here every patched call costs something of one budget, whether or not it had to wait.  When that is
gone, those who are ready have their turn; a thread that is resumed has all of it again (the rule of tokio's cooperative budget).

Whatever comes through a table's row pays in `entry`; what the compiled part does by itself pays there; Python code that is called
by both, and locks, pay by `charge`.  It is a count for fairness: two native threads that count at the same moment do no harm.
"""

from __future__ import annotations

from collections.abc import Callable

from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.extension import speedups

__all__ = ["CALL", "LEFT", "LOOK", "OPERATION", "QUESTION", "TURN", "charge", "on_spent", "set_units", "spent"]

UNITS = 1024  # the budget of a turn
OPERATION = 1  # of a lock
LOOK = 16  # at something that another thread may change: who takes one may take it again and again
CALL = 16  # of the system
QUESTION = 128  # to the kernel, what is ready: it costs more than a read

LEFT = [UNITS]  # an item costs less than a global; the compiled part counts by itself
TURN = [UNITS]  # what there is after each resumption
_spent: Callable[[bool], object] = bool


def on_spent(give_way: Callable[[bool], object]) -> None:
    """`give_way` lets the others have their turn; it is told whether the call is one that never waits: a kill is left then."""
    global _spent
    _spent = give_way
    if speedups is not None:
        speedups.setup_budget(give_way, TURN[0])


def spent(quick: bool) -> None:
    """Nothing is left in `LEFT`: the others have their turn."""
    LEFT[0] = TURN[0]
    _spent(quick)


def _charge(cost: int, quick: bool = False) -> None:
    """Pay for a call; `quick`: it is none that waits, so what ends a wait from outside is left for one."""
    LEFT[0] = left = LEFT[0] - cost
    if left < 0:
        spent(quick)


charge: Callable[..., None] = _charge if speedups is None else speedups.charge


def set_units(units: int) -> int:
    """The budget of each turn from now on; what it was.  With 0 the others have their turn at every call."""
    before, TURN[0] = TURN[0], units
    LEFT[0] = units
    if speedups is not None:
        speedups.setup_budget(_spent, units)
    return before
