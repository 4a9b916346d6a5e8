"""Telling how far a transfer is: nothing here, drawn by bar.py."""

from __future__ import annotations

from types import TracebackType


class Progress:
    """Takes note of bytes done of bytes expected, from any thread, and shows nothing."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing was begun, nothing is to be ended."""

    def expect(self, amount: int) -> None:
        """Add bytes to what is to be done."""

    def done(self, amount: int) -> None:
        """Add bytes to what has been done."""


def open_progress(title: str, quiet: bool) -> Progress:
    """A progress bar, or with `quiet` one that shows nothing."""
    if quiet:
        return Progress()
    from bar import Bar  # see there for why it is not imported before

    return Bar(title)
