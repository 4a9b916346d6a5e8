"""``python -m compat features``: what each runtime can do, answered by a script for each row.

Each script of `features/` is started by plain Python, patches as the runtime under test does it, and prints "yes" or "no"; one
that fails, or hangs, has not done it.  With ``--docs`` the table is written to `docs/reference/features.md`.
"""

from __future__ import annotations

import argparse
import ast
import concurrent.futures
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

__all__ = ["Answer", "add_options", "ask", "cell", "page", "questions", "run"]

FOLDER = Path(__file__).parent / "features"
PAGE = FOLDER.parent.parent / "docs" / "reference" / "features.md"
RUNTIMES = ("dhagapatch", "gevent", "eventlet")
SECONDS = 20.0

_ERROR = re.compile(r"^(?:\w+\.)*(\w*(?:Error|Exit|Exception|Interrupt))\b", re.MULTILINE)

# in the order of the table
SECTIONS = {
    "What everybody does": "sockets pools thread_data children simple_queue",
    "Late, and back": "late_names late_locks late_objects classes_stay taken_back",
    "Beside asyncio": "asyncio_in_threads await_in_a_thread legacy_code_in_a_coroutine",
    "Faithful to threads": "handler_in_a_wait fork_in_a_thread current_frames blocking_mode epoll",
    "Files and pipes": "pipes standard_input fifo file_locks",
    "C code that waits": "pyzmq grpc_calls",
    "Code that never waits": "spin_wait heartbeat_beside_a_hog sqlite named_calls",
    "What it can tell": "dump what_it_waits_for deadlock_is_told stalls_are_told races_are_found",
    "Set up": "no_compiler",
}


class Answer(NamedTuple):
    """What a script said: "yes" or "no", and why no if it did not say so itself."""

    word: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.word} ({self.why})" if self.why else self.word


def questions() -> dict[str, str]:
    """The scripts' names, in the order of the table, and what they ask; ValueError if a script is in no section, or twice."""
    names = [name for section in SECTIONS.values() for name in section.split()]
    there = {path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_")}
    if sorted(names) != sorted(there):
        raise ValueError(f"these are in SECTIONS or in {FOLDER.name}/, not in both: {sorted(set(names) ^ there)}")
    return {name: ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text("utf-8"))) or "" for name in names}


def ask(name: str, runtime: str, folder: Path = FOLDER, python: str = sys.executable) -> Answer:
    """Run a script under a runtime."""
    environ = {**os.environ, "RUNTIME": runtime, "PYTHONPATH": os.pathsep.join(map(str, (folder, FOLDER)))}
    try:
        done = subprocess.run(
            [python, str(folder / f"{name}.py")], env=environ, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return Answer("no", "hangs")
    lines = done.stdout.split()
    if done.returncode == 0 and lines and lines[-1] in ("yes", "no"):
        return Answer(lines[-1])
    if "Timeout (0:00:" in done.stderr:
        return Answer("no", "hangs")
    errors = _ERROR.findall(done.stderr)
    return Answer("no", errors[-1] if errors and done.returncode >= 0 else "crashes")


def _versions(pythons: Iterable[str]) -> str:
    words = [f"CPython {', '.join(pythons)}"]
    for name in (*RUNTIMES, "greenlet"):
        try:
            words.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            pass
    return ", ".join(words)


def _python_version(python: str, runtimes: tuple[str, ...] = RUNTIMES) -> str:
    """An interpreter's version; ValueError if a runtime is missing there."""
    look = (
        "import importlib.util, platform, sys\n"
        "print(platform.python_version(), *(name for name in sys.argv[1:] if not importlib.util.find_spec(name)))"
    )
    done = subprocess.run([python, "-c", look, *runtimes], capture_output=True, text=True, check=True)
    found, *missing = done.stdout.split()
    if missing:
        raise ValueError(f"{missing[0]} is missing for {python}; run: pip install -e '.[bench]'")
    return found


def cell(answers: dict[str, Answer]) -> str:
    """What a runtime said on each Python, in one cell: once where all say the same."""
    said: dict[str, list[str]] = {}
    for python, answer in answers.items():
        said.setdefault(f"**{answer}**" if answer.word == "yes" else str(answer), []).append(python.rpartition(".")[0])
    if len(said) == 1:
        return next(iter(said))
    return "; ".join(f"{text} on {', '.join(pythons)}" for text, pythons in said.items())


def page(asked: dict[str, str], answers: Mapping[str, Mapping[str, dict[str, Answer]]]) -> str:
    """The page of the documentation; `answers` by script, runtime and Python."""
    pythons = next(iter(next(iter(answers.values())).values()))
    lines = [
        "# What it can do, beside gevent and eventlet",
        "",
        "Each cell is the answer of a script in `compat/features/`, which runs under all three: `python -m compat features`.",
        "One that hangs, or fails, has not done it. What is off by default (time slices, stalls, native threads for sqlite3)",
        "is asked for in the script. Where the Pythons differ the cell says so.",
        "",
        f"{_versions(pythons)}, {os.uname().sysname}.",
    ]
    for section, names in SECTIONS.items():
        lines += ["", f"## {section}", "", f"| | {' | '.join(RUNTIMES)} |", f"|---|{':-:|' * len(RUNTIMES)}"]
        for name in names.split():
            cells = " | ".join(cell(answers[name][runtime]) for runtime in RUNTIMES)
            lines.append(f"| {asked[name].splitlines()[0]} `{name}` | {cells} |")
    return "\n".join(lines) + "\n"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="scripts of features/ (default: all)")
    parser.add_argument("--python", nargs="+", default=[sys.executable], metavar="PY", help="default: this one")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="scripts at once (default: 1)")
    parser.add_argument("--docs", action="store_true", help=f"write {PAGE.name}")


def run(options: argparse.Namespace, console: Console) -> int:
    """The exit code: 1 if dhagapatch said no; ValueError for a name that is not there, or a peer that is missing."""
    asked = questions()
    if unknown := [name for name in options.names if name not in asked]:
        raise ValueError(f"no script {unknown[0]!r}; there are: {', '.join(asked)}")
    if options.docs and options.names:
        raise ValueError("--docs writes the whole table: give no names with it")
    pythons = {_python_version(python): python for python in options.python}
    names = options.names or list(asked)
    answers: dict[str, dict[str, dict[str, Answer]]] = {}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        asking = {
            name: {runtime: {v: pool.submit(ask, name, runtime, python=at) for v, at in pythons.items()} for runtime in RUNTIMES}
            for name in names
        }
    for name in names:
        answers[name] = {runtime: {v: one.result() for v, one in asking[name][runtime].items()} for runtime in RUNTIMES}
        console.print(f"{name}: " + ", ".join(f"{runtime} {cell(answers[name][runtime])}" for runtime in RUNTIMES))
    table = Table("", *RUNTIMES, title=_versions(pythons))
    for name in names:
        table.add_row(asked[name].splitlines()[0], *(cell(answers[name][runtime]).replace("*", "") for runtime in RUNTIMES))
    console.print(table)
    if options.docs:
        PAGE.write_text(page(asked, answers), "utf-8")
    return int(any(answer.word != "yes" for runtimes in answers.values() for answer in runtimes["dhagapatch"].values()))
