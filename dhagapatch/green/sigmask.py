"""The signal masks of dhagas: the main one has that of the OS thread, another one's is only kept.

HAZARD: threads block all signals for themselves, so that others get them; the OS thread must not follow.
"""

from __future__ import annotations

import signal as _stdlib
import weakref
from typing import Any

from dhagapatch._real import BUILTINS as __builtins__

__all__ = ["HOWS", "MASKS", "PENDING", "SIGNALS", "change_mask", "valid_set"]

HOWS = (_stdlib.SIG_BLOCK, _stdlib.SIG_UNBLOCK, _stdlib.SIG_SETMASK)
SIGNALS = frozenset(_stdlib.valid_signals())
MASKS: weakref.WeakKeyDictionary[Any, frozenset[int]] = weakref.WeakKeyDictionary()  # of dhagas other than the main one
PENDING: weakref.WeakKeyDictionary[Any, set[int]] = weakref.WeakKeyDictionary()  # sent to one of them, and blocked by it
_NEVER_BLOCKED = {_stdlib.SIGKILL, _stdlib.SIGSTOP}


def valid_set(sigset: Any) -> set[int] | None:
    """The set that `sigset` names; None for what the native call refuses."""
    try:
        wanted = set(sigset)
    except TypeError:
        return None
    return wanted if wanted <= SIGNALS else None


def change_mask(me: Any, how: int, wanted: set[int], before: frozenset[int]) -> list[int]:
    """Give the dhaga `me` another mask; the signals that it had blocked, and that are due to it now."""
    if how == _stdlib.SIG_BLOCK:
        wanted = wanted | before
    elif how == _stdlib.SIG_UNBLOCK:
        wanted = set(before - wanted)
    me.again = False  # it is kept here
    MASKS[me] = frozenset(wanted - _NEVER_BLOCKED)
    due = sorted(PENDING.get(me, set()) - MASKS[me])
    PENDING.get(me, set()).difference_update(due)
    return due
