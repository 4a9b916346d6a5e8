"""Calls each blocking call of one module in three threads at once, with a heartbeat beside them.

    python run_calls.py calls_network.py

The same file is started by plain `python` and by `python -m dhagapatch`.  A line of JSON for each call: how long all three
took together, the shortest of them, the heartbeat's longest gap (seconds), and what was raised.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from dhagapatch.testing import Watchdog  # patches nothing

THREADS = 3
LIMIT = 10.0  # seconds for one call
LONGEST, LONGEST_GAP = 0.55, 0.1  # seconds; what is worse is measured again, for a busy machine
ATTEMPTS = 3


def load(path: str) -> Any:
    """The module at `path`."""
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def after(seconds: float, function: Callable[[], object]) -> None:
    """Run `function` in another thread, `seconds` from now."""

    def run() -> None:
        time.sleep(seconds)
        function()

    threading.Thread(target=run, daemon=True).start()


def measure(call: Callable[..., object]) -> dict[str, Any]:
    """Three at once and the heartbeat."""
    took: list[float] = []
    errors: list[str] = []
    gaps: list[float] = []
    over = threading.Event()

    def beat() -> None:
        last = time.monotonic()
        while not over.is_set():
            time.sleep(0.01)
            now = time.monotonic()
            gaps.append(now - last)
            last = now

    def run() -> None:
        begun = time.monotonic()
        try:
            call(after)
        except BaseException as error:
            errors.append("".join(traceback.format_exception(error)))
        took.append(time.monotonic() - begun)

    heartbeat = threading.Thread(target=beat)
    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    heartbeat.start()
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = time.monotonic() - begun
    over.set()
    heartbeat.join()
    return {"total": total, "shortest": min(took), "gap": max(gaps), "errors": errors}


def main(path: str, chosen: list[str]) -> None:
    """Measure the calls, each again if it did not do well, and print the best."""
    report = os.dup(1)
    os.set_inheritable(report, False)
    os.dup2(2, 1)
    watchdog = Watchdog(LIMIT)
    for name, call in load(path).CALLS.items():
        if chosen and name not in chosen:
            continue
        watchdog.feed(name, LIMIT * ATTEMPTS)
        os.write(report, (json.dumps({"begin": name}) + "\n").encode())
        for _ in range(ATTEMPTS):
            result = measure(call)
            if result["total"] < LONGEST and result["gap"] < LONGEST_GAP and not result["errors"]:
                break
        os.write(report, (json.dumps({"call": name, **result}) + "\n").encode())
    watchdog.stop()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
