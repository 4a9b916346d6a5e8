"""What `patch_all()` did, and what it could not do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from dhagapatch._real import BUILTINS as __builtins__

__all__ = ["Adopted", "Left", "PatchReport", "Rebound", "Wrapped"]


class Rebound(NamedTuple):
    """A holder of a real object that holds the green one now."""

    what: str  # "time.sleep"
    holder: str  # "module app.worker", "default of app.work()"
    name: str  # the attribute, key or index
    file: str | None = None
    line: int | None = None


class Adopted(NamedTuple):
    """An object made before the patch that is cooperative now."""

    what: str  # "lock", "RLock", "socket with a timeout"
    state: str
    holders: int


class Left(NamedTuple):
    """Something that stays as it was, and may block the OS thread."""

    what: str
    module: str | None
    name: str
    file: str | None
    line: int | None
    why: str


class Wrapped(NamedTuple):
    """A name in whose place somebody else's wrapper was, and stays; what that calls is cooperative now."""

    what: str  # "time.sleep"
    wrapper: str  # "unittest.mock.MagicMock"


class PatchReport:
    """The outcome of a patch; `str()` of it is for reading, `as_dict()` for programs.

    .. versionadded:: 0.1
    """

    def __init__(self, off: list[str] | None = None) -> None:
        self.in_place: list[str] = []  # "socket.socket.recv"
        self.replaced: list[str] = []  # "time.sleep"
        self.rebound: list[Rebound] = []
        self.adopted: list[Adopted] = []
        self.left: list[Left] = []
        self.wrapped: list[Wrapped] = []
        self.off = off or []  # switched off by the caller or a setting
        self.waiting: list[str] = []  # modules not imported yet: patched when they are
        # Python processes that the program started: (command, patched, why not), and how often; those that it could tell apart
        self.children: Mapping[Any, int] = {}

    def _started(self) -> list[dict[str, Any]]:
        return [{**child._asdict(), "times": times} for child, times in self.children.items()]

    def as_dict(self) -> dict[str, Any]:
        """Lists and dictionaries of strings and numbers only; lines are looked up in the sources now."""
        result: dict[str, Any] = {
            name: [item if isinstance(item, str) else item._asdict() for item in items]
            for name, items in vars(self).items() if name != "children"
        }  # fmt: skip
        result["children"] = self._started()
        sources = _Sources()
        for item in result["rebound"] + result["left"]:
            if item["line"] is None:
                item["line"] = sources[item["file"]].get(item["name"])
        return result

    def merge(self, other: PatchReport) -> None:
        """Add what a later patch did."""
        for name in ("in_place", "replaced", "rebound", "adopted", "left", "wrapped", "off"):
            mine = getattr(self, name)
            mine += [item for item in getattr(other, name) if item not in mine]
        self.waiting = other.waiting

    def __str__(self) -> str:
        lines = [
            f"dhagapatch: {len(self.in_place)} methods set in place, {len(self.replaced)} names replaced, "
            f"{len(self.rebound)} holders rebound, {len(self.adopted)} objects adopted, {len(self.left)} left"
        ]
        sources = _Sources()
        for item in self.rebound:
            lines.append(f"  rebound  {item.what} in {item.holder} as {item.name}{_place(item, sources)}")
        for thing in self.adopted:
            lines.append(f"  adopted  {thing.what}, {thing.state}, {thing.holders} holder(s)")
        for one in self.wrapped:
            lines.append(f"  wrapped  {one.what} by {one.wrapper}, which stays; what it calls is cooperative")
        for rest in self.left:
            where = f"{rest.module}." if rest.module else ""
            lines.append(f"  LEFT     {rest.what} at {where}{rest.name}{_place(rest, sources)}: {rest.why}")
        for child in self._started():
            often = f" ({child['times']} times)" if child["times"] > 1 else ""
            fate, separator = ("patched", ", ") if child["patched"] else ("left alone", ": ")
            lines.append(f"  child    {child['command']}{often}: {fate}{separator if child['why'] else ''}{child['why']}")
        if self.off:
            lines.append("  off      " + ", ".join(self.off))
        if self.waiting:
            lines.append("  on import " + ", ".join(self.waiting))
        return "\n".join(lines)


class _Sources(dict[str | None, dict[str, int]]):
    """The line of each file that first binds a name, at any depth; a file is read once for a report."""

    def __missing__(self, file: str | None) -> dict[str, int]:
        lines = self[file] = _first_lines(file) if file and file.endswith(".py") else {}
        return lines


def _first_lines(file: str) -> dict[str, int]:
    import ast

    lines: dict[str, int] = {}
    try:
        with open(file, "rb") as source:
            tree = ast.parse(source.read())
    except (OSError, SyntaxError, ValueError):
        return lines
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            name = node.attr
        elif isinstance(node, ast.alias):
            name = node.asname or node.name
        elif isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            name = node.name
        else:
            continue
        lines[name] = min(node.lineno, lines.get(name, node.lineno))
    return lines


def _place(item: Rebound | Left, sources: _Sources) -> str:
    if item.file is None:
        return ""
    line = item.line or sources[item.file].get(item.name)
    return f" ({item.file}:{line})" if line else f" ({item.file})"
