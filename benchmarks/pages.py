"""Measured sections of pages: what stands between two markers is replaced, the rest is written by hand."""

from __future__ import annotations

import re

__all__ = ["markers", "replace_section", "sections_of"]


def markers(name: str) -> tuple[str, str]:
    """The lines before and after a section; Markdown does not show them."""
    return f"<!-- measured: {name} -->", f"<!-- end of: {name} -->"


def sections_of(page: str) -> list[str]:
    """The names of a page's sections."""
    return re.findall(r"<!-- measured: (.*?) -->", page)


def replace_section(page: str, name: str, text: str) -> str:
    """The page with `text` in its section; ValueError if it has no such section."""
    begin, end = markers(name)
    head, opened, rest = page.partition(begin)
    _, closed, tail = rest.partition(end)
    if not opened or not closed:
        raise ValueError(f"the page has no section {name!r}: it needs the lines {begin} and {end}")
    return f"{head}{begin}\n\n{text.strip()}\n\n{end}{tail}"
