"""Write `docs/reference/patched.md` from the table: ``python docs/generate_patched.py``; with ``--check`` only compare."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from dhagapatch.monkey.exempt import BLOCKING, EXEMPT, Exempt
from dhagapatch.monkey.table import GROUPS, PACKAGES, SET, TABLE, TELL, Row

PAGE = Path(__file__).parent / "reference" / "patched.md"

# The public module whose names those of a C module are.
PUBLIC = {"_io": "io", "_queue": "queue", "_signal": "signal", "_socket": "socket", "posix": "os"}

HEAD = """\
# What is patched

<!-- Written by docs/generate_patched.py from dhagapatch/monkey/table.py and exempt.py. Change those, and run it again. -->

`patch_all()` applies these rows in this order; `patch("socket", "ssl")` those of some groups only. Each group and each name
can be switched off: `patch_all(disable=["dns", "posix.sendfile"])` or `DHAGAPATCH_DISABLE=dns`, with the name as it stands here.

- **in place**: a method is set on the class, so every instance and every subclass follows, those made earlier too;
- **by name**: a C function or type is replaced, and whoever holds the old one is found and given the new one: `os.read`
  for `posix.read`, `from time import sleep`, a class attribute, a default;
- **told**: the package has a function to be told how to wait; or what stands in C is told, in its place, to call something else.

The rows of the group `packages` speak of packages of others, which may not be installed: they are patched when they are imported.
"""

BLOCKS = """\
## What still blocks

Each of these holds up all dhagas of the OS thread for as long as it waits. `dhagapatch.offload(function, *args)` runs a
call on a native thread, while its caller's dhaga waits and the others run. So it is, too, with what other C extension modules
wait for on their own: curses, tkinter, most drivers of databases that are written in C.
"""

LEFT = """\
## What is left alone

The other public callables of these modules, and why none of them needs a row. With the two tables above, they are all:
a test compares them with what the modules have.
"""


def versions(line: Row | Exempt) -> str:
    """Where the name exists, if not everywhere."""
    parts = []
    if line.since > (3, 11):
        parts.append(f"since {line.since[0]}.{line.since[1]}")
    if line.until < (4, 0):
        parts.append(f"before {line.until[0]}.{line.until[1]}")
    if line.platforms:
        parts.append("/".join(line.platforms))
    return f" ({', '.join(parts)})" if parts else ""


def table(head: tuple[str, ...], lines: Sequence[tuple[str, ...]]) -> str:
    rows = [head, tuple("---" for _ in head), *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def how(row: Row) -> str:
    """By what means it is patched."""
    return "told" if row.action == TELL else "in place" if row.action == SET or row in PACKAGES else "by name"


def rows_of(group: str) -> str:
    lines = [
        (f"`{row.module}.{row.name}`{versions(row)}", how(row), row.why)
        for row in TABLE + PACKAGES if row.group == group
    ]  # fmt: skip
    return f"## Group `{group}`\n\n{table(('name', 'how', 'why'), lines)}"


def named(line: Exempt) -> str:
    if line.names == "*":
        return f"everything in `{line.module}`"
    return ", ".join(f"`{name}`" for name in line.names.split())


def blocking() -> str:
    lines = [(f"`{PUBLIC.get(line.module, line.module)}`", named(line) + versions(line), line.why) for line in BLOCKING]
    return f"{BLOCKS}\n{table(('module', 'names', 'why'), lines)}"


def exempt() -> str:
    lines = sorted(EXEMPT, key=lambda line: PUBLIC.get(line.module, line.module))
    parts = [LEFT]
    for module, ones in groupby(lines, key=lambda line: PUBLIC.get(line.module, line.module)):
        parts.append(f"### `{module}`\n\n" + "".join(f"- {line.why}{versions(line)}: {named(line)}\n" for line in ones))
    return "\n".join(parts)


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *map(rows_of, GROUPS), blocking(), exempt()])


def main() -> int:
    if sys.argv[1:] == ["--check"]:
        current = PAGE.exists() and PAGE.read_text("utf-8") == page()
        if not current:
            print(f"{PAGE} is not what the table says; run python docs/generate_patched.py", file=sys.stderr)
        return not current
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
