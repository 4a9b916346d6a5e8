"""The asyncio loop of a hub: asyncio's own, over our selector."""

from __future__ import annotations

import asyncio
import socket
from asyncio.log import logger
from collections.abc import Callable
from typing import Any

from tornado.ioloop import IOLoop

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.netpoll import Netpoll
from dhagapatch.core.own import OWN, disown, set_apart

__all__ = ["HubLoop", "make_loops"]


class HubLoop(asyncio.SelectorEventLoop):
    """asyncio's loop over our selector; it tells the selector when it has got work."""

    def __init__(self, netpoll: Netpoll) -> None:
        self._netpoll = netpoll
        before, logger.disabled = logger.disabled, True  # it tells of each loop at level DEBUG; this one is nobody's business
        try:
            super().__init__(netpoll)
        finally:
            logger.disabled = before

    def _make_self_pipe(self) -> None:
        super()._make_self_pipe()  # type: ignore[misc]
        loop: Any = self
        loop._remove_reader(loop._ssock.fileno())
        loop._ssock, loop._csock = _apart(loop._ssock), _apart(loop._csock)
        loop._add_reader(loop._ssock.fileno(), loop._read_from_self)

    def _close_self_pipe(self) -> None:
        loop: Any = self
        for end in (loop._ssock, loop._csock):
            disown(end.fileno())
        super()._close_self_pipe()  # type: ignore[misc]

    def _check_thread(self) -> None:
        """In debug mode: asyncio would compare the identities of dhagas."""
        loop: Any = self
        if loop._thread_id is not None and _real.get_ident() != loop._thread_id:
            raise RuntimeError("Non-thread-safe operation invoked on an event loop other than the current one")

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.Handle:
        self._netpoll.loop_work = True
        return super().call_soon(callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        self._netpoll.loop_work = True
        return super().call_at(when, callback, *args, context=context)

    def __del__(self) -> None:
        """Nothing: the hub lives as long as its thread, an unclosed loop is no mistake of the user's."""


def make_loops(netpoll: Netpoll) -> tuple[HubLoop, IOLoop]:
    """A hub's asyncio loop, and Tornado's over it."""
    loop = HubLoop(netpoll)
    return loop, IOLoop(asyncio_loop=loop, make_current=False)


def _apart(end: socket.socket) -> socket.socket:
    moved = type(end)(fileno=disown(set_apart(end.detach())))  # who makes a socket over one of the runtime's own is refused
    OWN.add(moved.fileno())
    moved.setblocking(False)
    return moved
