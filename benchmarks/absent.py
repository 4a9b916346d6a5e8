"""What cannot be run here, and why: a package or a tool is missing, or it would take too long."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence

from benchmarks.cases import Case
from benchmarks.launchers import Launcher

__all__ = ["find_absent"]

SLOW = "left out, as one run takes minutes"


def find_absent(
    cases: Sequence[Case], launchers: Sequence[Launcher], versions: Mapping[str, str | None]
) -> dict[tuple[str, str], str]:
    """By case and launcher, why it is not run. `versions` are of the interpreter that is measured."""
    absent = {}
    for case in cases:
        for launcher in launchers:
            if why := _why(case, launcher, versions):
                absent[case.name, launcher.name] = why
    return absent


def _why(case: Case, launcher: Launcher, versions: Mapping[str, str | None]) -> str:
    for package in (launcher.package, *case.needs):
        if package and versions.get(package) is None:
            return f"{package} cannot be imported"
    if case.command and shutil.which(case.command) is None:
        return f"the command {case.command} is not installed"
    return SLOW if launcher.name in case.without else ""

