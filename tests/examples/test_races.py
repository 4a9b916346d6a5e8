"""The examples of races: found within 1,000 runs, and not found where they are mended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

RACES = Path(__file__).parents[2] / "examples" / "races"
LRU = """\
import sys
import dhagapatch
dhagapatch.patch_all()
from dhagapatch.testing import Watchdog, explore
Watchdog(80)
import lru_cache
print(explore(lru_cache.put_from_two_threads, modules=["repoze.lru"]).runs)
"""


def python(*arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=100, stdin=subprocess.DEVNULL,
        env={"PYTHONPATH": f"{RACES}:{path}", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip


@pytest.mark.parametrize("name", ["lost_update", "abba", "missed_notify", "double_checked"])
def test_a_race_is_found_and_its_mended_form_passes(name: str) -> None:
    done = python(str(RACES / "find.py"), name)
    assert done.returncode == 0, done.stderr
    assert f"{name}: " in done.stdout and "replay=" in done.stdout and "  main:" in done.stdout
    assert f"{name}, mended: 1000 runs without a failure" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("version, found", [("0.4", True), ("0.7", False)])
def test_the_race_of_an_old_release_is_found_and_the_later_one_passes(version: str, found: bool, tmp_path: Path) -> None:
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(tmp_path), f"repoze.lru=={version}"]
    if subprocess.run(install, capture_output=True, timeout=120).returncode:
        pytest.skip(f"repoze.lru {version} can't be installed here")
    done = python("-c", LRU, path=str(tmp_path))
    if found:
        assert done.returncode == 1 and "a value was thrown out of a cache that was not full" in done.stderr, done.stderr
        assert "__init__.py" in done.stderr and "lock.acquire()" in done.stderr
    else:
        assert (done.returncode, done.stdout) == (0, "1000\n"), done.stderr
