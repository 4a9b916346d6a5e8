"""Where a measurement was made: the date, the machine, the versions. No path and no host name."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "Environment", "look_round"]

ROOT = Path(__file__).parent.parent  # of the checkout; children run here, so that its dhagapatch is the one measured
_PACKAGES = ("dhagapatch", "gevent", "eventlet", "greenlet", "tornado", "uvloop", "requests")
_PROBE = """
import importlib.metadata, json, platform, sys, warnings
warnings.simplefilter("ignore")
versions = {"python": f"{platform.python_implementation()} {platform.python_version()}"}
for name in sys.argv[1:]:
    try:
        __import__(name)
        versions[name] = importlib.metadata.version(name)
    except Exception:  # whatever a package raises that does not fit this Python
        versions[name] = None
print(json.dumps(versions))
"""
_PROBE_SECONDS = 60


@dataclass(frozen=True)
class Environment:
    """Date, machine and versions; a version is None where the package is missing."""

    date: str
    cpu: str
    cores: int
    system: str
    load: float  # of the last minute, before the first round
    revision: str | None  # of the checkout
    versions: dict[str, str | None]

    def as_json(self) -> dict[str, Any]:
        """For the JSON file."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For the reader: when, on what, with what."""
        versions = [self.versions["python"] or "Python"]
        for name in _PACKAGES:
            text = f"{name} {self.versions[name] or 'missing'}"
            if name == "dhagapatch" and self.revision:
                text += f" ({self.revision})"
            versions.append(text)
        machine = f"{self.cpu}, {self.cores} cores, {self.system}, load {self.load:.1f} before the first round"
        return [f"{self.date}; {machine}", ", ".join(versions)]


def look_round(python: str) -> Environment:
    """The environment of the interpreter `python`; CalledProcessError or OSError if it does not run."""
    probe = subprocess.run(
        [python, "-c", _PROBE, *_PACKAGES], cwd=ROOT, capture_output=True, text=True, timeout=_PROBE_SECONDS, check=True
    )
    return Environment(
        date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        cpu=_cpu_model(),
        cores=os.cpu_count() or 1,
        system=f"{platform.system()} {platform.release()}",
        load=os.getloadavg()[0],
        revision=_revision(),
        versions=json.loads(probe.stdout),
    )


def _cpu_model() -> str:
    """The processor's name, from the kernel where it tells, else what `platform` knows."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _revision() -> str | None:
    """The commit of the checkout, with "-dirty" if files differ from it; None outside of git."""
    command = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        git = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_PROBE_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return git.stdout.strip() if git.returncode == 0 else None
