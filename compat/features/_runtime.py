"""What the scripts of this folder share: to patch, as the runtime under test does it, and to answer."""

from __future__ import annotations

import faulthandler
import os
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

RUNTIME = os.environ["RUNTIME"]
faulthandler.dump_traceback_later(6, exit=True)  # whoever hangs has not done it


def patch(**options: Any) -> None:
    """Make the standard library cooperative; `options` are dhagapatch's, where it is off by default what is asked for."""
    if RUNTIME == "dhagapatch":
        import dhagapatch

        dhagapatch.patch_all(**options)
    elif RUNTIME == "gevent":
        import gevent.monkey

        gevent.monkey.patch_all()
    elif RUNTIME == "eventlet":
        import eventlet

        eventlet.monkey_patch()


def answer(holds: object) -> NoReturn:
    """The answer, and the end."""
    print("yes" if holds else "no", flush=True)
    os._exit(0)


def together(function: Callable[[], object], count: int = 2) -> float:
    """Seconds that it takes to call `function` in `count` threads at once."""
    threads = [threading.Thread(target=function) for _ in range(count)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - begin


class Heart:
    """A thread that beats every 10 ms."""

    def __init__(self) -> None:
        self.gap = 0.0
        self._stop = False
        self._last = time.monotonic()
        self._thread = threading.Thread(target=self._beat)
        self._thread.start()
        time.sleep(0.05)
        self.gap = 0.0

    def _beat(self) -> None:
        while not self._stop:
            now = time.monotonic()
            self.gap = max(self.gap, now - self._last)
            self._last = now
            time.sleep(0.01)

    def longest_gap(self) -> float:
        """In seconds; it stops."""
        self.gap = max(self.gap, time.monotonic() - self._last)
        self._stop = True
        return self.gap
