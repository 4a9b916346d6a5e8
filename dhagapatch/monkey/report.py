"""What `patch_all()` did, and what it could not do."""

from __future__ import annotations

from typing import Any, NamedTuple

from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.monkey.rebind import line_of

__all__ = ["Adopted", "Left", "PatchReport", "Rebound"]


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
        self.off = off or []  # switched off by the caller or a setting
        self.waiting: list[str] = []  # modules not imported yet: patched when they are

    def as_dict(self) -> dict[str, Any]:
        """Lists and dictionaries of strings and numbers only; lines are looked up in the sources now."""
        result: dict[str, Any] = {
            name: [item if isinstance(item, str) else item._asdict() for item in items] for name, items in vars(self).items()
        }
        for item in result["rebound"] + result["left"]:
            if item["line"] is None:
                item["line"] = line_of(item["file"], item["name"])
        return result

    def merge(self, other: PatchReport) -> None:
        """Add what a later patch did."""
        for name in ("in_place", "replaced", "rebound", "adopted", "left", "off"):
            mine = getattr(self, name)
            mine += [item for item in getattr(other, name) if item not in mine]
        self.waiting = other.waiting

    def __str__(self) -> str:
        lines = [
            f"dhagapatch: {len(self.in_place)} methods set in place, {len(self.replaced)} names replaced, "
            f"{len(self.rebound)} holders rebound, {len(self.adopted)} objects adopted, {len(self.left)} left"
        ]
        for item in self.rebound:
            lines.append(f"  rebound  {item.what} in {item.holder} as {item.name}{_place(item)}")
        for thing in self.adopted:
            lines.append(f"  adopted  {thing.what}, {thing.state}, {thing.holders} holder(s)")
        for rest in self.left:
            where = f"{rest.module}." if rest.module else ""
            lines.append(f"  LEFT     {rest.what} at {where}{rest.name}{_place(rest)}: {rest.why}")
        if self.off:
            lines.append("  off      " + ", ".join(self.off))
        if self.waiting:
            lines.append("  on import " + ", ".join(self.waiting))
        return "\n".join(lines)


def _place(item: Rebound | Left) -> str:
    if item.file is None:
        return ""
    line = item.line or line_of(item.file, item.name)
    return f" ({item.file}:{line})" if line else f" ({item.file})"
