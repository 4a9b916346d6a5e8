"""The table of other projects' suites, ``suites.toml``.

    [runtimes]                     # what stands beside us, for every suite
    gevent = "26.9.0"

    [[suite]]
    name = "requests"              # the project's name on the package index
    version = "2.32.5"
    sha256 = "..."                 # of its source distribution, which the tests come from
    source = "https://..."         # where that is, if the one on the package index has no tests
    extras = ["socks"]             # of the project, to install
    requires = ["pytest==8.4.2"]   # what its tests need besides, pinned
    args = ["tests"]               # for pytest, started in the unpacked source distribution
    server = "redis"               # a name of servers.py
    environ = { URL = "redis://127.0.0.1:{port}" }
    left_out = [{ id = "tests/test_x.py::test_y*", why = "needs the network." }]

What is in `settings/NAME` is put beside the project's files: what its tests read, and the source distribution lacks.  In a
file named `*.template`, `$port` and what else `environ` may refer to is filled in, and the ending is taken off.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["LeftOut", "Suite", "choose", "read"]

NEEDED = {"name", "version", "sha256", "requires", "args"}


@dataclass(frozen=True)
class LeftOut:
    """Tests that are run under no launcher, since they fail natively or need what is not there."""

    id: str  # a pattern of pytest's node ids, as in the ledger
    why: str


@dataclass(frozen=True)
class Suite:
    """One project's suite."""

    name: str
    version: str
    sha256: str
    requires: tuple[str, ...]
    args: tuple[str, ...]
    source: str = ""
    extras: tuple[str, ...] = ()
    server: str = ""
    environ: dict[str, str] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()

    @property
    def prefix(self) -> str:
        """What its tests' names begin with, before pytest's node id."""
        return f"{self.name}/"


def read(path: Path) -> tuple[list[Suite], dict[str, str]]:
    """The suites, and the versions of the runtimes beside us; ValueError for an entry that is not complete."""
    table = tomllib.loads(path.read_text())
    found = [_suite(facts, f"{path.name}, suite {facts.get('name')!r}") for facts in table.get("suite", ())]
    names = [suite.name for suite in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{path.name}: {twice[0]!r} is there twice")
    return found, table.get("runtimes", {})


def _suite(facts: dict[str, Any], where: str) -> Suite:
    if unknown := set(facts) - set(Suite.__dataclass_fields__):
        raise ValueError(f"{where}: unknown key {sorted(unknown)[0]!r}")
    if missing := NEEDED - set(facts):
        raise ValueError(f"{where}: {sorted(missing)[0]!r} is missing")
    source = facts.get("source", "https://")
    if not source.startswith("https://"):
        raise ValueError(f"{where}: source is {source!r}; it must be the https address of an archive")
    for requirement in facts["requires"]:
        if "==" not in requirement:
            raise ValueError(f"{where}: {requirement!r} is not pinned")
    lists: dict[str, Any] = {key: tuple(facts[key]) for key in ("requires", "args", "extras") if key in facts}
    try:
        left_out = tuple(LeftOut(**entry) for entry in facts.get("left_out", ()))
    except TypeError:
        raise ValueError(f"{where}: left_out takes an 'id' and a 'why'") from None
    return Suite(**{**facts, **lists, "left_out": left_out})


def choose(suites: list[Suite], names: list[str]) -> list[Suite]:
    """Those that are named, in the table's order, or all; ValueError for a name that is not there."""
    wanted = {name.lower() for name in names}
    if unknown := wanted - {suite.name.lower() for suite in suites}:
        raise ValueError(f"no suite {sorted(unknown)[0]!r}; there are: {', '.join(suite.name for suite in suites)}")
    return [suite for suite in suites if not names or suite.name.lower() in wanted]
