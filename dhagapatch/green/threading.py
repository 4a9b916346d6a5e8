"""What `threading`'s own classes tell about other threads without a wait: programs ask in a loop."""

from __future__ import annotations

import threading as _stdlib

from dhagapatch.core.sync import count_look

__all__ = ["is_set"]

_is_set = _stdlib.Event.is_set


def is_set(self: _stdlib.Event) -> bool:
    count_look()
    return _is_set(self)
