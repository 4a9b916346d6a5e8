"""A thread that beats: how long did the others stand still?"""

from __future__ import annotations

import itertools
import threading
import time

__all__ = ["Heart"]


class Heart:
    """Beats every 5 ms, from the start until `stop`."""

    def __init__(self) -> None:
        self._beats: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat)
        self._thread.start()

    def _beat(self) -> None:
        while not self._over.wait(0.005):
            self._beats.append(time.monotonic())

    def stop(self) -> float:
        """The longest time between two beats, in seconds."""
        self._over.set()
        self._thread.join()
        return max(later - earlier for earlier, later in itertools.pairwise(self._beats))
