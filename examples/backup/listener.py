"""Listening on the notification channel with many connections, a thread for each."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from errors import BackupError, CancelledError, ProtocolError
from protocol import ErrorCode, read_frame, send_frame
from rpc import Client, Counter, Target

# The server sends a heartbeat every 30 s.
SILENCE_SECONDS = 90.0
RECONNECT_SECONDS = 1.0


class Listener:
    """`connections` clients of the notification channel.

    `done` is called once, from any thread, when every connection has had
    `events` events (0: never) or when one fails for good.
    """

    def __init__(
        self,
        target: Target,
        name: str,
        connections: int,
        events: int,
        done: Callable[[], None],
    ) -> None:
        self.acknowledged = Counter()
        self.reconnects = Counter()
        self.failure: BackupError | None = None
        self._stop = threading.Event()
        self._done = done
        self._events = events
        self._lock = threading.Lock()
        self._seen: set[str] = set()
        self._unfinished = connections
        self._clients = [
            Client(target, f"{name}/{number}", self._stop) for number in range(connections)
        ]
        self._threads = [
            threading.Thread(target=self._run, args=(client,), name=client.name, daemon=True)
            for client in self._clients
        ]

    def start(self) -> None:
        """Connect them all."""
        for thread in self._threads:
            thread.start()

    def stop(self, seconds: float) -> None:
        """Close every connection; wait at most `seconds` for the threads."""
        self._stop.set()
        for client in self._clients:
            client.shut()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    @property
    def events(self) -> int:
        """How many different events were received."""
        with self._lock:
            return len(self._seen)

    def _run(self, client: Client) -> None:
        received = 0
        with client:
            while not self._stop.is_set():
                try:
                    client.call({"op": "subscribe"})
                    while True:
                        self._next_event(client)
                        received += 1
                        if received == self._events:
                            self._finish(None)
                except CancelledError:
                    return
                except BackupError as error:
                    self._finish(error)
                    return
                except OSError:
                    # Lost, or the server said goodbye: come back, but not all at once.
                    client.close()
                    self.reconnects.add()
                    self._stop.wait(random.uniform(0.1, RECONNECT_SECONDS))

    def _next_event(self, client: Client) -> None:
        """Wait for an event, acknowledge it; heartbeats are answered on the way."""
        sock = client.connect()
        sock.settimeout(SILENCE_SECONDS)
        while True:
            event = read_frame(sock).header
            number, kind = event.get("event"), event.get("kind")
            if not isinstance(number, int) or not isinstance(kind, str):
                raise ProtocolError(ErrorCode.BAD_FRAME, f"not an event: {event!r}")
            if kind == "bye":
                raise ConnectionError("the server is stopping")
            if kind != "ping":
                self._show(number, kind, event)
            send_frame(sock, {"ack": number})
            if kind != "ping":
                self.acknowledged.add()
                return

    def _show(self, number: int, kind: str, event: dict[str, Any]) -> None:
        """Print an event the first time any connection has it."""
        line = f"event {number} {kind} {json.dumps(event.get('detail'))}"
        with self._lock:
            if line in self._seen:
                return
            self._seen.add(line)
        print(line, flush=True)

    def _finish(self, failure: BackupError | None) -> None:
        with self._lock:
            self._unfinished -= 1
            if failure is not None and self.failure is None:
                self.failure = failure
            over = failure is not None or self._unfinished == 0
        if over:
            self._done()
