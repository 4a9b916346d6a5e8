"""Ways for a program to end, each a program of its own: what it prints, and its exit code, are those of native threads.

``PATCH`` is where a late patch is applied.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["EVERY", "Ending", "late", "noisy"]


class Ending(NamedTuple):
    """A program, and how it is run."""

    source: str
    way: str = "file"  # or "-c", "-m"
    outputs: tuple[str, ...] = ("pipe",)  # what standard output is; also "file", "terminal", "broken", "full", "closed"
    options: tuple[str, ...] = ()  # of the interpreter


EVERY = ("pipe", "file", "terminal")

# something that says when it goes, in whatever state the interpreter is then
NOISY = """
class Noisy:
    def __init__(self, name, print=print):
        self.name, self.print = name, print
    def __del__(self):
        self.print("gone:", self.name)
"""

# one that calls functions then, and says what came of it; standard output may be gone
LATE = """
class Late:
    def __init__(self, name, *calls, write=__import__("posix").write, type=type, Exception=Exception, str=str):
        self.rest = name, calls, write, type, Exception, str
    def __del__(self):
        name, calls, write, type, Exception, str = self.rest
        for call in calls:
            try:
                said = str(call())
            except Exception as error:
                said = type(error).__name__ + " " + str(error)
            write(1, (name + " " + said + "\\n").encode())
def keep(module, late, kept=[]):
    # until the names of that module are cleared
    kept.append(module); sys = __import__("sys")
    module = __import__(module); setattr(module, f"late_{len(kept)}", late); setattr(sys, f"kept_{len(kept)}", module)
def drop(late):
    # until the collector runs, before that
    __import__("gc").set_threshold(1000000); late.self = late
"""


def noisy(source: str, **kwargs: object) -> Ending:
    return Ending(NOISY + source, **kwargs)  # type: ignore[arg-type]


def late(source: str, **kwargs: object) -> Ending:
    return Ending(LATE + source, **kwargs)  # type: ignore[arg-type]
