"""The example that says what it is doing, and the code of the how-to page."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "howto" / "inspect.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


def test_what_is_seen_of_the_orders() -> None:
    done = run(str(ROOT / "examples" / "inspect" / "watch.py"))
    assert done.returncode == 0 and not done.stderr, done
    dump, top, printed, reported = re.split(r"\n=== .* ===\n", done.stdout)[1:]
    for one, other in (("buyer", "seller"), ("seller", "buyer")):
        lock = rf"waits for <locked .*, held by {other}, made at .*orders\.py:\d+ in __init__"
        assert re.search(rf"dhaga {one} \d+: parked, {lock}", dump) and re.search(rf"{one} {lock}", reported)
    assert "in Inventory.sell" in dump and "in Inventory.restock" in dump
    assert "3 dhagas" in top and "switches/s" in top and "reporter" in top
    assert printed.count("open, 3 entries") >= 4
    first, last = reported.find("reporter has held the OS thread for 0.1"), reported.find("reporter held the OS thread for ")
    assert 0 <= first < last and "in Inventory.report" in reported[first:last], reported
    assert reported.count("wait for each other") == 1, reported


def test_natively_nothing_tells() -> None:
    done = run(str(ROOT / "examples" / "inspect" / "orders.py"))
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.endswith("open, 3 entries\n")


def test_the_page_has_code() -> None:
    assert len(BLOCKS) == 3


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_code_of_the_page(number: int) -> None:
    done = run("-c", BLOCKS[number])
    assert done.returncode == 0, done.stderr
