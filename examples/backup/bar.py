"""The parts of the client that draw with rich: a progress bar and a table.

They are imported only when something is to be drawn. Loading rich takes longer
than a small backup, and a client run with --quiet from cron has no use for it.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any

from progress import Progress
from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as RichProgress
from rich.table import Table


class Bar(Progress):
    """A progress bar on standard error."""

    def __init__(self, title: str) -> None:
        self._lock = threading.Lock()
        self._expected = 0
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task(title, total=None)

    def __enter__(self) -> Bar:
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


def print_snapshots(snapshots: list[dict[str, Any]]) -> None:
    """Print a table of snapshots, `root` being text, on standard output."""
    table = Table("snapshot", "of", "directory", "begun", "files", "size", "state")
    for snapshot in snapshots:
        table.add_row(
            str(snapshot["id"]),
            snapshot["name"],
            snapshot["root"],
            time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(snapshot["started"])),
            str(snapshot["files"]),
            decimal(snapshot["bytes"]),
            "unfinished" if snapshot["completed"] is None else "complete",
        )
    Console().print(table)
