"""Whether there is memory for one more thread.

A dhaga's stack is copied whenever another has its turn.  HAZARD: where there is no memory for that, greenlet can only end the
process.  A native thread has its stack from its start on, and what cannot be had is refused there; so here, while each thread
that there is can still have that much.  That is asked at some of the starts, as it takes as long as a few calls.
"""

from __future__ import annotations

from dhagapatch._real import BUILTINS as __builtins__

__all__ = ["SELDOM", "check"]

SELDOM = 31  # a mask: asked at each start that finds a number of threads with these bits set
_SOME = 1 << 20  # bytes
_EACH = 16 << 10  # bytes for each thread: the stack, and what it makes in the meantime
_is_short = False


def check(threads: int) -> None:
    """RuntimeError if there is no room for one more, beside so many."""
    global _is_short
    if not _is_short and threads & SELDOM != SELDOM:
        return
    try:
        import mmap

        mmap.mmap(-1, _SOME + threads * _EACH, mmap.MAP_PRIVATE).close()
    except (OSError, MemoryError, ImportError):
        _is_short = True  # asked at every start, until there is room again
        raise RuntimeError("can't start new thread") from None
    _is_short = False
