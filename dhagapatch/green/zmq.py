"""pyzmq waits in libzmq, in C: here an operation is tried without a wait, and then the socket's descriptor waited for.

That descriptor tells of work for the socket, not of messages: it is readable until somebody asks the socket for its events
(libzmq's manual, ``ZMQ_FD``).  As natively, a socket is used by one thread at a time.
"""

from __future__ import annotations

import select
import sys
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__  # noqa: F401
from dhagapatch.core import deadline_of
from dhagapatch.green.exchange import Exchange, on_a_native_thread
from dhagapatch.green.select import make_poll
from dhagapatch.green.waiting import spend

__all__ = ["install", "monitoring", "polling", "proxying"]

# of libzmq's interface in C
_DONTWAIT = 1
_FD, _EVENTS, _RCVTIMEO, _SNDTIMEO = 14, 15, 27, 28
_POLLIN, _POLLOUT = 1, 2
_POLL_MASKS = ((1, select.POLLIN), (2, select.POLLOUT), (4, select.POLLERR), (8, select.POLLPRI))

# method: what it waits for, the option that has its timeout in milliseconds, where its flags stand after `self`
_OPERATIONS = {
    "recv": (_POLLIN, _RCVTIMEO, 0),
    "recv_into": (_POLLIN, _RCVTIMEO, 2),  # that is, by name only
    "send": (_POLLOUT, _SNDTIMEO, 1),
}


def _deadline(milliseconds: Any) -> float | None:
    return None if milliseconds is None or milliseconds < 0 else deadline_of(milliseconds / 1000)


def _wait(masks: dict[int, int], deadline: float | None) -> bool:
    """Until one of the descriptors is ready; False when `deadline` is over."""
    poll = make_poll()
    for fd, mask in masks.items():
        poll.register(fd, mask)
    return bool(poll.poll(None if deadline is None else max(0.0, (deadline - _real.monotonic()) * 1000)))


def _waiting(real: Callable[..., Any], get: Callable[[Any, int], Any], name: str) -> Callable[..., Any]:
    """The method, called again and again until it does not have to wait."""
    event, timeout, position = _OPERATIONS[name]
    again: Any = sys.modules["zmq.error"].Again

    @wraps(real)
    def waits(self: Any, *args: Any, **kwargs: Any) -> Any:
        flags = args[position] if len(args) > position else kwargs.get("flags", 0)
        if flags & _DONTWAIT:
            return real(self, *args, **kwargs)
        if len(args) > position:
            args = (*args[:position], flags | _DONTWAIT, *args[position + 1 :])
        else:
            kwargs["flags"] = flags | _DONTWAIT
        spend(1)
        try:
            return real(self, *args, **kwargs)
        except again:
            deadline = _deadline(get(self, timeout))
        while True:
            while not get(self, _EVENTS) & event:
                if not _wait({get(self, _FD): select.POLLIN}, deadline):
                    return real(self, *args, **kwargs)  # raises, unless it came at the last moment
            try:
                return real(self, *args, **kwargs)
            except again:
                pass  # another dhaga was first

    return waits


def polling(real: Callable[..., Any]) -> Callable[..., Any]:
    """`zmq_poll`: what is ready among ZeroMQ's sockets, descriptors and objects with one."""
    kind: Any = sys.modules["zmq.backend"].Socket

    @wraps(real)
    def zmq_poll(sockets: Any, timeout: Any = -1) -> Any:
        ready = real(sockets, timeout=0)
        if ready or timeout == 0:
            return ready
        deadline = _deadline(timeout)
        while True:
            masks: dict[int, int] = {}
            for thing, events in sockets:
                if isinstance(thing, kind):
                    fd, mask = thing.get(_FD), select.POLLIN
                else:
                    fd = thing if isinstance(thing, int) else thing.fileno()
                    mask = sum(theirs for ours, theirs in _POLL_MASKS if events & ours)
                masks[fd] = masks.get(fd, 0) | mask
            in_time = _wait(masks, deadline)
            ready = real(sockets, timeout=0)
            if ready or not in_time:
                return ready

    return zmq_poll


def proxying(real: Callable[..., Any]) -> Callable[..., Any]:
    """`proxy`: hands messages on between two sockets, for ever."""
    backend: Any = sys.modules["zmq.backend"]

    @wraps(real)
    def proxy(frontend: Any, backend_: Any, capture: Any = None) -> Any:
        ways = [(frontend, backend_)] if frontend is backend_ else [(frontend, backend_), (backend_, frontend)]
        while True:
            ready = dict(backend.zmq_poll([(one, _POLLIN) for one, _ in ways], -1))
            for one, other in ways:
                if one in ready:
                    parts = one.recv_multipart(copy=False)
                    if capture is not None:
                        capture.send_multipart(parts, copy=False)
                    other.send_multipart(parts, copy=False)

    return proxy


def monitoring(real: Callable[..., Any]) -> Callable[..., Any]:
    """`monitored_queue`: pyzmq has it in Python too."""
    in_python: Callable[..., Any] = getattr(sys.modules["zmq.devices.monitoredqueue"], "_monitored_queue", real)
    return in_python


def install(kind: type) -> Callable[[], None]:
    """Have sockets and contexts, whose types are C, wait so; how to take it back."""
    context: type = sys.modules["zmq.backend"].Context
    get = vars(kind)["get"]
    exchange = Exchange()
    for name in _OPERATIONS:
        exchange.method(kind, name, partial(_waiting, get=get, name=name))
    exchange.method(context, "term", on_a_native_thread)  # other dhagas are to close the sockets it waits for
    return exchange
