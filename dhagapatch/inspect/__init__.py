"""What the program is doing: dumps, figures, stalls, locks that wait for each other.

This module is the door.  What lies behind it is imported when it is asked for: a start pays for none of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dhagapatch._real import BUILTINS as __builtins__

if TYPE_CHECKING:
    from dhagapatch.inspect.snapshot import Dump

__all__ = ["dump", "stats"]

_take: Callable[[], Dump] | None = None


def dump() -> Dump:
    """Every dhaga of every hub and every native thread: what it waits for, and where it stands.

    `str()` of the result is for reading, `as_dict()` for programs.  From any OS thread, also while a hub is stuck in C code, in
    a signal handler, in a forked child, before there is a hub, and at exit.

    .. versionadded:: 0.1
    """
    global _take
    if _take is None:  # kept: in the interpreter's last moments nothing can be imported
        from dhagapatch.inspect.snapshot import take

        _take = take
    return _take()


def stats() -> dict[str, Any]:
    """Figures of the scheduler: dictionaries, lists and numbers only.

    ``dhagas`` that live, and how many are ``running``, ``ready`` and ``parked``; ``resumed``, how often those that live were
    resumed; ``deadlines``, ``descriptors``, ``hubs``, and ``offload``: calls under way, threads, idle threads, calls that queue.

    ``counting`` is None unless inspection is on (`patch_all(inspect=...)`, ``--inspect``): what must be counted costs a little.
    Then it has ``turns``, ``switches``, ``parks`` and ``polls`` in so many ``seconds``, ``lag``, a list of pairs: an upper bound,
    in seconds (None: none), and how often the time from one poll to the next, in which dhagas ran, was up to that, and
    above the bound before; and ``longest_lag``.

    .. versionadded:: 0.1
    """
    from dhagapatch.inspect.counts import stats

    return stats()
