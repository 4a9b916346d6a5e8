"""gRPC waits for its events in C, and nobody but itself knows when they come: native threads wait for them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.green.exchange import Exchange, on_a_native_thread

__all__ = ["install"]

_WAITING = (
    ("CompletionQueue", "poll"),
    ("Channel", "next_call_event"),
    ("Channel", "watch_connectivity_state"),
    ("SegregatedCall", "next_event"),
    ("PollerCompletionQueue", "_poll_wrapper"),  # of `grpc.aio`: for ever
)


def install(_: type) -> Callable[[], None]:
    """Have them wait so; how to take it back."""
    cygrpc: Any = sys.modules["grpc._cython.cygrpc"]
    exchange = Exchange()
    for kind, name in _WAITING:
        if hasattr(cygrpc, kind):
            exchange.method(getattr(cygrpc, kind), name, on_a_native_thread)
    return exchange
