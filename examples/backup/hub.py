"""The notification channel, server side.

A subscriber's connection belongs to one thread, which alone reads and writes
it: it takes events from the subscriber's outbox, sends each and waits for its
acknowledgement. So a TLS connection is never used by two threads at once, and
one slow client holds up nobody else.
"""

from __future__ import annotations

import itertools
import queue
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from errors import ProtocolError
from protocol import ErrorCode, read_frame, send_frame

KINDS = ("start", "cancel", "policy-changed")
HEARTBEAT_SECONDS = 30.0
ACK_SECONDS = 30.0
MAX_NAMED = 20


@dataclass
class Outcome:
    """What became of a broadcast: counts, and some of the clients that did not answer."""

    event: int
    sent: int
    acknowledged: int
    missing: list[str]


@dataclass(eq=False)
class Subscriber:
    """A connected client and the events it has yet to be sent; None ends it."""

    client: str
    outbox: queue.Queue[Delivery | None] = field(default_factory=queue.Queue)


class Delivery:
    """One event on its way to a fixed set of subscribers."""

    def __init__(self, event: int, kind: str, detail: Any, to: set[Subscriber]) -> None:
        self.event = event
        self.kind = kind
        self.detail = detail
        self._sent = len(to)
        self._pending = set(to)
        self._failed: list[str] = []
        self._changed = threading.Condition()

    def acknowledge(self, subscriber: Subscriber) -> None:
        """Note that the subscriber answered."""
        with self._changed:
            self._pending.discard(subscriber)
            if not self._pending:
                self._changed.notify_all()

    def fail(self, subscriber: Subscriber) -> None:
        """Note that the subscriber went away; nothing if it had answered."""
        with self._changed:
            if subscriber in self._pending:
                self._pending.discard(subscriber)
                self._failed.append(subscriber.client)
            if not self._pending:
                self._changed.notify_all()

    def wait(self, seconds: float) -> Outcome:
        """Wait until every subscriber answered or failed, at most `seconds`."""
        with self._changed:
            self._changed.wait_for(lambda: not self._pending, timeout=seconds)
            missing = self._failed + [subscriber.client for subscriber in self._pending]
            return Outcome(
                self.event, self._sent, self._sent - len(missing), sorted(missing)[:MAX_NAMED]
            )


class Hub:
    """All subscribers, and broadcasting to them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscribers: set[Subscriber] = set()
        self._numbers = itertools.count(1)
        self._closed = False

    def count(self) -> int:
        """How many clients are connected to the channel."""
        with self._lock:
            return len(self._subscribers)

    def broadcast(self, kind: str, detail: Any, wait_seconds: float) -> Outcome:
        """Send an event to every subscriber and wait for their acknowledgements.

        Clients that connect later do not get it. Raises ProtocolError for an
        unknown kind.
        """
        if kind not in KINDS:
            raise ProtocolError(
                ErrorCode.BAD_REQUEST, f"unknown event {kind!r}: use one of {', '.join(KINDS)}"
            )
        with self._lock:
            delivery = Delivery(next(self._numbers), kind, detail, self._subscribers)
            for subscriber in self._subscribers:
                subscriber.outbox.put(delivery)
        return delivery.wait(wait_seconds)

    def serve(self, sock: socket.socket, client: str) -> None:
        """Feed one subscriber on its connection until it leaves or the hub closes.

        Raises OSError if the connection fails, ProtocolError if the client
        answers with anything but the acknowledgement.
        """
        subscriber = Subscriber(client)
        with self._lock:
            if self._closed:
                raise ProtocolError(ErrorCode.SHUTTING_DOWN, "the server is stopping")
            self._subscribers.add(subscriber)
        try:
            send_frame(sock, {"ok": True})
            while self._next_event(sock, subscriber):
                pass
        finally:
            with self._lock:
                self._subscribers.discard(subscriber)
            _fail_rest(subscriber)

    def close(self) -> None:
        """Tell every subscriber that the server is stopping and let its thread end."""
        with self._lock:
            self._closed = True
            for subscriber in self._subscribers:
                subscriber.outbox.put(None)

    def _next_event(self, sock: socket.socket, subscriber: Subscriber) -> bool:
        try:
            delivery = subscriber.outbox.get(timeout=HEARTBEAT_SECONDS)
        except queue.Empty:
            _exchange(sock, 0, "ping", None)
            return True
        if delivery is None:
            send_frame(sock, {"event": 0, "kind": "bye", "detail": None})
            return False
        try:
            _exchange(sock, delivery.event, delivery.kind, delivery.detail)
        except BaseException:
            delivery.fail(subscriber)
            raise
        delivery.acknowledge(subscriber)
        return True


def _exchange(sock: socket.socket, event: int, kind: str, detail: Any) -> None:
    send_frame(sock, {"event": event, "kind": kind, "detail": detail, "sent": time.time()})
    sock.settimeout(ACK_SECONDS)
    answer = read_frame(sock).header
    if answer.get("ack") != event:
        raise ProtocolError(ErrorCode.BAD_REQUEST, f"expected the acknowledgement of {event}")


def _fail_rest(subscriber: Subscriber) -> None:
    while True:
        try:
            delivery = subscriber.outbox.get_nowait()
        except queue.Empty:
            return
        if delivery is not None:
            delivery.fail(subscriber)
