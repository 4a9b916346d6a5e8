"""A virtual environment and a source distribution for each suite, in a folder that is kept."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import subprocess
import tarfile
import urllib.request
from pathlib import Path
from typing import NamedTuple

from compat.suites import Suite

__all__ = ["Environment", "EnvironmentFailed", "install", "prepare"]

ROOT = Path(__file__).parents[1]
TAIL = 3000  # characters of what a failed command printed
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")


class EnvironmentFailed(Exception):
    """It could not be made; the text says why."""


class Environment(NamedTuple):
    """Where a suite runs."""

    python: str
    sdist: Path
    source: Path  # some tests have their own path in their names, so it is the same in each run

    def unpack(self) -> Path:
        """A fresh copy of the source distribution, for tests write into it; its top folder."""
        shutil.rmtree(self.source, ignore_errors=True)
        with tarfile.open(self.sdist) as archive:
            archive.extractall(self.source, filter="data")
        (top,) = self.source.iterdir()
        return top


def prepare(suite: Suite, python: str, version: str, cache: Path, constraints: Path, runtimes: dict[str, str]) -> Environment:
    """Make what is not there yet, or not as the table has it now; EnvironmentFailed."""
    folder = cache / f"{suite.name}-{suite.version}-py{version}"
    sdist = _sdist(suite, python, cache / "sdists")
    what = f"{sdist}[{','.join(suite.extras)}]" if suite.extras else str(sdist)
    pins = constraints.read_text() if constraints.exists() else ""
    stamp = json.dumps([suite.sha256, suite.extras, suite.requires, pins])
    limit = ["-c", str(constraints)] if constraints.exists() else []
    peers = [f"{name}=={pin}" for name, pin in runtimes.items()]
    return Environment(install(folder, python, [*limit, what, *suite.requires], stamp, peers), sdist, folder / "source")


def install(folder: Path, python: str, what: list[str], stamp: str, peers: list[str]) -> str:
    """The interpreter of a virtual environment with `what` in it, and with us; made again if `stamp` is another one."""
    folder.mkdir(parents=True, exist_ok=True)
    venv = folder / "venv"
    inside = str(venv / "bin" / "python")
    ours = json.dumps([str(ROOT), peers, (ROOT / "pyproject.toml").read_text()])
    if not _stamped(folder / "installed", stamp):
        shutil.rmtree(venv, ignore_errors=True)
        (folder / "ours").unlink(missing_ok=True)
        _run([python, "-m", "venv", str(venv)])
        _run([inside, *PIP, "install", "-q", *what])
        (folder / "installed").write_text(stamp)
    if not _stamped(folder / "ours", ours):
        _run([inside, *PIP, "install", "-q", "-e", str(ROOT), *peers])
        (folder / "ours").write_text(ours)
    return inside


def _stamped(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


def _sdist(suite: Suite, python: str, folder: Path) -> Path:
    """The source distribution, from the package index, or where the table says, if it is not there yet."""
    kept = folder / suite.sha256
    if not any(kept.glob("*")) and suite.source:
        _download(suite, kept)
    elif not any(kept.glob("*")):
        wanted = folder / f"{suite.name}.txt"
        folder.mkdir(parents=True, exist_ok=True)
        wanted.write_text(f"{suite.name}=={suite.version} --hash=sha256:{suite.sha256}\n")
        try:
            _run([python, *PIP, "download", "-q", "--no-deps", "--no-binary", suite.name, "-d", str(kept), "-r", str(wanted)])
        finally:
            wanted.unlink()
    (sdist,) = kept.glob("*")
    if hashlib.sha256(sdist.read_bytes()).hexdigest() != suite.sha256:
        raise EnvironmentFailed(f"{sdist} is not what {suite.name} {suite.version} should be; remove it")
    return sdist


def _download(suite: Suite, folder: Path) -> None:
    """Fetch `source` into the folder, whole or not at all."""
    try:
        with urllib.request.urlopen(suite.source, timeout=60) as answer:
            data: bytes = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise EnvironmentFailed(f"{suite.source}: {error}") from None
    if (found := hashlib.sha256(data).hexdigest()) != suite.sha256:
        raise EnvironmentFailed(f"{suite.source} is not what {suite.name} {suite.version} should be: its sha256 is {found}")
    folder.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f"{suite.sha256}.part")
    part.write_bytes(data)
    part.replace(folder / suite.source.rpartition("/")[2])


def _run(command: list[str]) -> None:
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environ)
    if done.returncode:
        raise EnvironmentFailed(f"{' '.join(command)}\n{(done.stdout + done.stderr)[-TAIL:]}")
