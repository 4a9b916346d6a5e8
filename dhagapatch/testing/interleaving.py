"""Which thread ran which line, in order."""

from __future__ import annotations

import linecache
import os
import re
import sysconfig
from collections.abc import Sequence
from types import CodeType, FrameType
from typing import Any, NamedTuple

from dhagapatch._cpython import thread_of
from dhagapatch._real import BUILTINS as __builtins__

__all__ = ["Interleaving", "Scope", "Step"]

_SHOWN = 300  # steps in a text: the last ones
_PATHS = sysconfig.get_paths()
_OTHERS = tuple(os.path.join(os.path.realpath(_PATHS[name]), "") for name in ("stdlib", "platstdlib", "purelib", "platlib"))
_RUNTIME = __name__.partition(".")[0]
_NUMBERED = re.compile(r"Thread-\d+( \((.*)\))?")


class Step(NamedTuple):
    """A line that a thread was about to run.

    .. versionadded:: 0.1
    """

    thread: str  # "main", "thread 1 (worker)"
    file: str
    line: int
    function: str


class Scope:
    """Which code is the program's own: neither the standard library's, nor an installed package's, but those asked for."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules = (modules,) if isinstance(modules, str) else tuple(modules)
        self._known: dict[tuple[str, str], bool] = {}

    def __contains__(self, frame: FrameType) -> bool:
        key = frame.f_code.co_filename, str(frame.f_globals.get("__name__"))
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._is_own(*key)
        return known

    def _is_own(self, file: str, module: str) -> bool:
        if module.partition(".")[0] == _RUNTIME:
            return False
        if any(module == one or module.startswith(f"{one}.") for one in self._modules):
            return True
        if file.startswith("<"):  # made by `exec`, or a named tuple's
            return module == "__main__"
        return not os.path.realpath(file).startswith(_OTHERS)


class Interleaving:
    """The steps of one run."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._names: dict[Any, str] = {}
        self._steps: list[tuple[Any, CodeType, int]] = []
        self._done: tuple[Step, ...] = ()

    def is_wanted(self, frame: FrameType) -> bool:
        """Whether the frame's lines are steps."""
        return frame in self._scope

    def add(self, who: Any, frame: FrameType) -> None:
        """`who` is about to run the frame's line."""
        if who not in self._names:
            self.name_of(who)
        self._steps.append((who, frame.f_code, frame.f_lineno))

    def name_of(self, who: Any) -> str:
        """A name that is the same in each run: threads are numbered as they begin."""
        name = self._names.get(who)
        if name is None:
            thread = thread_of(id(who))
            given = "" if thread is None else thread.name
            matched = _NUMBERED.fullmatch(given)
            number = len(self._names)
            if matched or not given:
                name = f"thread {number}" + (matched[1] or "" if matched else "")
            else:
                name = given
            self._names[who] = name
        return name

    def close(self) -> None:
        """Nothing comes any more: who ran is let go of."""
        self._done = tuple(Step(self._names[who], code.co_filename, line, code.co_name) for who, code, line in self._steps)
        self._steps.clear()
        self._names.clear()

    def steps(self) -> tuple[Step, ...]:
        """All of them, when it is closed."""
        return self._done

    def tell(self) -> str:
        """For reading; each thread's stretch has its name on top."""
        lines, last = [], None
        steps = self.steps()
        if len(steps) > _SHOWN:
            lines.append(f"  ({len(steps) - _SHOWN} steps before these)")
        for step in steps[-_SHOWN:]:
            if step.thread != last:
                lines.append(f"  {step.thread}:")
                last = step.thread
            source = linecache.getline(step.file, step.line).strip()
            lines.append(f"    {os.path.basename(step.file)}:{step.line} {step.function:<16} {source}")
        return "\n".join(lines)
