"""The pieces of Python in the how-to pages run, each in a fresh interpreter.

One that can't stand alone has a line before it, ``<!-- not run: the reason -->``.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from run_isolated import run_file

PAGES = sorted((Path(__file__).parents[1] / "docs" / "howto").glob("*.md"))
_PIECE = re.compile(r"(<!-- not run: (?P<why>[^>]+) -->\n+)?^```python\n(?P<source>.*?)^```$", re.DOTALL | re.MULTILINE)
PIECES = [
    pytest.param(match["source"], id=f"{page.stem}-{number}")
    for page in PAGES
    for number, match in enumerate(_PIECE.finditer(page.read_text("utf-8")))
    if not match["why"]
]


@pytest.mark.parametrize("source", PIECES)
def test_a_piece_of_a_page_runs(source: str, tmp_path: Path) -> None:
    path = tmp_path / "piece.py"
    path.write_text(source, "utf-8")
    run_file(path)


def test_there_is_something_to_run() -> None:
    named = {piece.id for piece in PIECES}
    assert named >= {"asyncio-0", "asyncio-1", "explore-0", "offload-0", "offload-1", "offload-2", "slices-0"}, named
