"""Processes that tests wait for, begun before their turn: they sleep most of the time, and so share the cores."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import pytest

Result = TypeVar("Result")
# HAZARD: pytest changes one of the variables at each test, under whoever copies them in another thread
ENVIRON = dict(os.environ)
WIDTH = 3  # at once; more would make cases wait for a core that measure time


def run_group(command: list[str], limit: float, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A command and what it says, after at most `limit` seconds; whatever it has started, and left behind, is ended with it."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**ENVIRON, **(environ or {})}, process_group=0,
    )  # fmt: skip
    try:
        output, errors = process.communicate(timeout=limit)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


class Ahead(Generic[Result]):
    """`work`, called with the parameters `names` of each selected test of a function, `width` calls at a time.

    All are begun at the first test that asks; tests that have the same values share one result.
    """

    def __init__(self, work: Callable[..., Result], *names: str, width: int = WIDTH) -> None:
        self._work = work
        self._names = names
        self._pool = concurrent.futures.ThreadPoolExecutor(width, thread_name_prefix="ahead")
        self._begun: dict[tuple[Any, ...], concurrent.futures.Future[Result]] = {}

    def result(self, request: pytest.FixtureRequest, **instead: Any) -> Result:
        """What the work of this test gave, or its exception; `instead` has values that stand in for the test's own."""
        if not self._begun:
            request.config.add_cleanup(lambda: self._pool.shutdown(cancel_futures=True))
        key = self._key(request.node, instead)
        if key not in self._begun:
            for item in request.session.items:
                if isinstance(item, pytest.Function) and item.originalname == request.node.originalname:
                    self._begin(self._key(item, instead))
        return self._begun[key].result()

    def _key(self, item: Any, instead: dict[str, Any]) -> tuple[Any, ...]:
        return tuple({**item.callspec.params, **instead}[name] for name in self._names)

    def _begin(self, key: tuple[Any, ...]) -> None:
        if key not in self._begun:
            self._begun[key] = self._pool.submit(self._work, *key)
