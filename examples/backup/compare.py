"""Comparing two trees: names, kinds, modes, links, times of files, every byte."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator

BLOCK_BYTES = 1 << 20


def differences(left: bytes, right: bytes, exclude: Collection[bytes] = ()) -> Iterator[str]:
    """One line for each path that is not the same in both trees.

    Names in `exclude` are left out on the left side. Sockets, devices and
    pipes, which a backup leaves out, are too.
    """
    yield from _compare(left, right, b".", exclude)


def _compare(left: bytes, right: bytes, path: bytes, exclude: Collection[bytes]) -> Iterator[str]:
    here, there = os.path.join(left, path), os.path.join(right, path)
    name = os.fsdecode(path)
    try:
        one, two = os.lstat(here), os.lstat(there)
    except OSError as error:
        yield f"{name!r}: {error}"
        return
    if stat.S_IFMT(one.st_mode) != stat.S_IFMT(two.st_mode):
        yield f"{name!r}: of another kind"
        return
    if stat.S_ISLNK(one.st_mode):
        if os.readlink(here) != os.readlink(there):
            yield f"{name!r}: another link target"
        return
    if stat.S_IMODE(one.st_mode) != stat.S_IMODE(two.st_mode):
        yield f"{name!r}: mode {one.st_mode:o} became {two.st_mode:o}"
    if stat.S_ISREG(one.st_mode):
        if one.st_mtime_ns != two.st_mtime_ns:
            yield f"{name!r}: another modification time"
        if one.st_size != two.st_size or not _same_bytes(here, there):
            yield f"{name!r}: other contents"
        return
    names = {entry for entry in _names(here) if entry not in exclude}
    for entry in sorted(names | set(_names(there))):
        yield from _compare(left, right, os.path.join(path, entry), exclude)


def _names(directory: bytes) -> list[bytes]:
    with os.scandir(directory) as entries:
        return [
            entry.name
            for entry in entries
            if entry.is_symlink() or entry.is_dir() or entry.is_file()
        ]


def _same_bytes(here: bytes, there: bytes) -> bool:
    with open(here, "rb") as one, open(there, "rb") as two:
        while True:
            block = one.read(BLOCK_BYTES)
            if block != two.read(BLOCK_BYTES):
                return False
            if not block:
                return True
