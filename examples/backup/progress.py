"""A progress bar on standard error, or nothing with --quiet."""

from __future__ import annotations

import threading
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bar


class Progress:
    """Bytes done of bytes expected; safe to call from any thread."""

    def __init__(self, title: str, quiet: bool) -> None:
        self._lock = threading.Lock()
        self._expected = 0
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            disable=quiet,
        )
        self._task = self._bar.add_task(title, total=None)

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def expect(self, amount: int) -> None:
        """Add bytes to what is to be done."""
        with self._lock:
            self._expected += amount
            expected = self._expected
        self._bar.update(self._task, total=expected)

    def done(self, amount: int) -> None:
        """Add bytes to what has been done."""
        self._bar.advance(self._task, amount)
