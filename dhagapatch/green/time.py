"""`time.sleep` that lets other dhagas run."""

from __future__ import annotations

from typing import Any

from greenlet import getcurrent

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import hub_for_wait
from dhagapatch.green.waiting import number_of, sleep_until

__all__ = ["sleep"]

_LONGEST = 9e9  # seconds; the native call refuses what does not fit into its clock


def sleep(*args: Any, **kwargs: Any) -> None:
    if len(args) == 1 and not kwargs:
        seconds = number_of(args[0])
        if isinstance(seconds, (int, float)) and 0 <= seconds < _LONGEST:
            hub = hub_for_wait()
            if hub is not None:
                if seconds:
                    sleep_until(_real.monotonic() + seconds)
                else:
                    hub.yield_(getcurrent())
                return None
    return _real.sleep(*args, **kwargs)
