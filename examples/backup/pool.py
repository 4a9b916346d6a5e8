"""A pool of worker threads, each with its own connection to the server."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from errors import CancelledError
from rpc import Client, Counter, Target

Item = TypeVar("Item")
Work = Callable[[Client, Item], None]

POLL_SECONDS = 0.25


class Pool(Generic[Item]):
    """Does `work(client, item)` for many items in `threads` threads.

    The first exception ends everything; threads connect when they first need to.
    """

    def __init__(self, target: Target, name: str, threads: int, work: Work[Item]) -> None:
        self.stop = threading.Event()
        self.retries = Counter()
        self._work = work
        self._lock = threading.Lock()
        self._failure: BaseException | None = None
        # None tells one worker that there is nothing more to do.
        self._jobs: queue.Queue[Item | None] = queue.Queue(maxsize=2 * threads)
        self._clients = [
            Client(target, f"{name}/{number}", self.stop, self.retries)
            for number in range(threads)
        ]
        self._threads = [
            threading.Thread(target=self._run, args=(client,), name=client.name, daemon=True)
            for client in self._clients
        ]

    def run(self, items: Iterable[Item]) -> None:
        """Feed `items` to the workers and return when all are done.

        Items are drawn from the iterable only as fast as they are worked on.
        Raises what the first failing worker raised.
        """
        for thread in self._threads:
            thread.start()
        try:
            for item in items:
                if not self._offer(item):
                    break
            for _ in self._threads:
                self._offer(None)
            for thread in self._threads:
                thread.join()
        except BaseException as error:
            self._fail(error)
            for thread in self._threads:
                thread.join()
            raise
        if self._failure is not None:
            raise self._failure

    def _offer(self, item: Item | None) -> bool:
        while not self.stop.is_set():
            try:
                self._jobs.put(item, timeout=POLL_SECONDS)
                return True
            except queue.Full:
                continue
        return False

    def _run(self, client: Client) -> None:
        with client:
            try:
                while not self.stop.is_set():
                    try:
                        item = self._jobs.get(timeout=POLL_SECONDS)
                    except queue.Empty:
                        continue
                    if item is None:
                        return
                    self._work(client, item)
            except BaseException as error:
                self._fail(error)

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            if self._failure is None or isinstance(self._failure, CancelledError):
                self._failure = error
        self.stop.set()
        for client in self._clients:
            client.shut()
