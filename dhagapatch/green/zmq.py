"""pyzmq waits in libzmq, in C: here an operation is tried without a wait, and then the socket's descriptor waited for.

That descriptor tells of work for the socket, not of messages: it is readable until somebody asks the socket for its events
(libzmq's manual, ``ZMQ_FD``).  As natively, a socket is used by one thread at a time.
"""

from __future__ import annotations

import select
import sys
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import deadline_of, offload_wait
from dhagapatch.core.budget import CALL, charge
from dhagapatch.green.exchange import Exchange, looks_like
from dhagapatch.green.select import make_poll

__all__ = ["install", "monitoring", "polling", "proxying"]

# of libzmq's interface in C
_DONTWAIT = 1
_FD, _EVENTS, _RCVTIMEO, _SNDTIMEO = 14, 15, 27, 28
_POLLIN, _POLLOUT = 1, 2
_POLL_MASKS = ((1, select.POLLIN), (2, select.POLLOUT), (4, select.POLLERR), (8, select.POLLPRI))

_SNDMORE, _RCVMORE = 2, 13
_POLL_LEAST, _POLL_MOST = 0.001, 0.02  # seconds: how often what no descriptor tells of is tried

# method: what it waits for, the option that has its timeout in milliseconds, where its flags stand after `self`
_OPERATIONS = {
    "recv": (_POLLIN, _RCVTIMEO, 0),
    "recv_into": (_POLLIN, _RCVTIMEO, 2),  # that is, by name only
    "send": (_POLLOUT, _SNDTIMEO, 1),
}


def _deadline(milliseconds: float) -> float | None:
    return None if milliseconds < 0 else deadline_of(milliseconds / 1000)


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

    @looks_like(real)
    def waits(self: Any, *args: Any, **kwargs: Any) -> Any:
        flags = args[position] if len(args) > position else kwargs.get("flags", 0)
        charge(CALL)
        if flags & _DONTWAIT:
            return real(self, *args, **kwargs)
        if len(args) > position:
            args = (*args[:position], flags | _DONTWAIT, *args[position + 1 :])
        else:
            kwargs["flags"] = flags | _DONTWAIT
        try:
            return real(self, *args, **kwargs)
        except again:
            deadline = _deadline(get(self, timeout))
        pause = _POLL_LEAST
        while True:
            until = deadline
            if get(self, _EVENTS) & event:
                try:
                    return real(self, *args, **kwargs)
                except again:
                    # HAZARD: events are of the socket, not of this message: its peer may be full while another has room
                    until = _real.monotonic() + pause
                    pause = min(pause * 2, _POLL_MOST)
                    if deadline is not None and deadline < until:
                        until = deadline
            if not _wait({get(self, _FD): select.POLLIN}, until) and until is deadline:
                return real(self, *args, **kwargs)  # raises, unless it came at the last moment

    return waits


def polling(real: Callable[..., Any]) -> Callable[..., Any]:
    """`zmq_poll`: what is ready among ZeroMQ's sockets, descriptors and objects with one."""
    kind: Any = sys.modules["zmq.backend"].Socket

    @looks_like(real)
    def zmq_poll(sockets: Any, timeout: Any = -1) -> Any:
        charge(CALL)
        if not isinstance(timeout, (int, float)):
            return real(sockets, timeout=timeout)  # raises
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
    """`proxy`: hands messages on between two sockets, for ever; one is taken when the other side has room for it (libzmq)."""
    backend: Any = sys.modules["zmq.backend"]
    kind: Any = backend.Socket

    def hand_on(source: Any, target: Any, capture: Any) -> None:
        more = True
        while more:
            part = kind.recv(source)
            more = kind.get(source, _RCVMORE)
            if capture is not None:
                kind.send(capture, part, _SNDMORE if more else 0)
            kind.send(target, part, _SNDMORE if more else 0)

    @looks_like(real)
    def proxy(frontend: Any, backend_: Any, capture: Any = None) -> Any:
        if not all(isinstance(one, kind) and not one.closed for one in (frontend, backend_, capture or frontend)):
            return real(frontend, backend_, capture)  # raises
        ways = [(frontend, backend_)] if frontend is backend_ else [(frontend, backend_), (backend_, frontend)]
        while True:
            ready = {id(one) for one, _ in backend.zmq_poll([(source, _POLLIN) for source, _ in ways], 0)}
            moved = False
            for source, target in ways:
                if id(source) in ready and (source is target or kind.get(target, _EVENTS) & _POLLOUT):
                    hand_on(source, target, capture)
                    moved = True
            if not moved:
                backend.zmq_poll([(t, _POLLOUT) if id(s) in ready else (s, _POLLIN) for s, t in ways], -1)

    return proxy


def monitoring(real: Callable[..., Any]) -> Callable[..., Any]:
    """`monitored_queue`: pyzmq has it in Python too."""
    in_python: Callable[..., Any] = getattr(sys.modules["zmq.devices.monitoredqueue"], "_monitored_queue", real)
    return in_python


def _ending(real: Callable[..., Any]) -> Callable[..., Any]:
    """`Context.term`: other dhagas are to close the sockets for which it waits.

    HAZARD: who waits for it may be interrupted, and call it again: two at once in libzmq would free the context twice.
    """
    turns: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()

    def in_turn(self: Any, turn: Any) -> Any:
        with turn:
            return real(self)

    @looks_like(real)
    def term(self: Any) -> Any:
        turn = turns.get(self)
        if turn is None:
            turn = turns.setdefault(self, _real.allocate_lock())
        return offload_wait(in_turn, self, turn)

    return term


def install(kind: type) -> Callable[[], None]:
    """Have sockets and contexts, whose types are C, wait so; how to take it back."""
    context: type = sys.modules["zmq.backend"].Context
    get = vars(kind)["get"]
    exchange = Exchange()
    for name in _OPERATIONS:
        exchange.method(kind, name, partial(_waiting, get=get, name=name))
    exchange.method(context, "term", _ending)
    return exchange
