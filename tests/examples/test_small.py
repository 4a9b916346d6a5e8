"""The small examples run, and show what they are there to show."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_tornado_handlers_call_legacy_code() -> None:
    command = [sys.executable, str(EXAMPLES / "asyncio" / "tornado_app.py"), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()

            def ask(item: str) -> dict[str, object]:
                with urllib.request.urlopen(url.replace("apples", item), timeout=15) as answer:
                    found: dict[str, object] = json.load(answer)
                    return found

            with ThreadPoolExecutor(20) as pool:
                waiting = [pool.submit(ask, f"item{number}") for number in range(20)]
                with urllib.request.urlopen(url.partition("/stock")[0] + "/health", timeout=15) as answer:
                    assert answer.read() == b"ok"
                answers = [one.result() for one in waiting]
        finally:
            process.kill()
    assert [one["item"] for one in answers] == [f"item{number}" for number in range(20)]


def beats(*options: str) -> int:
    done = subprocess.run(
        [sys.executable, "-m", "dhagapatch", *options, str(EXAMPLES / "slices" / "heartbeat.py")],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    found = re.match(r"(\d+) beats in 1 s, the longest pause \d+ ms\n", done.stdout)
    assert found, done.stdout
    return int(found[1])


def test_a_heart_beats_beside_threads_that_compute() -> None:
    assert beats() <= 3
    assert beats("--timeslice", "0.01") >= 8
