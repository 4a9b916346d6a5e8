"""``python -m compat programs``: programs of other projects, whose output natively and on dhagas is to be the same.

The table is `programs/programs.toml`; the folder of a program's name beside it is copied to where it is started.

    [[program]]
    name = "pip"
    what = "installs from a local folder"
    requires = ["pip==25.3"]               # what is installed for it, pinned
    steps = ["python -m pip ..."]          # commands; `python` is that of its environment, with the launcher's options
    beside = "python -m moto.server ..."   # a server, always native, that listens on {port}
    server = "redis"                       # or one of servers.py
    environ = { URL = "http://127.0.0.1:{port}" }
    ignore = ['^Date: .*']                 # what differs from run to run
    unordered = true                       # lines may come in any order: threads print them

What each step printed, its exit code and the files in the folder `out` are compared.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import hashlib
import json
import re
import shlex
import shutil
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from compat import environments, fence, servers, third_party
from compat.launchers import LAUNCHERS, Launcher

__all__ = ["Program", "Run", "add_options", "difference", "read", "run", "run_program"]

FOLDER = Path(__file__).parent / "programs"
TABLE = FOLDER / "programs.toml"
STEP_SECONDS = 120.0


@dataclass(frozen=True)
class Program:
    """One program."""

    name: str
    what: str
    requires: tuple[str, ...]
    steps: tuple[str, ...]
    beside: str = ""
    server: str = ""
    environ: dict[str, str] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    unordered: bool = False


class Run(NamedTuple):
    """What a program did."""

    said: list[str]  # lines
    seconds: float


def read(path: Path) -> list[Program]:
    """The programs of a table; ValueError for an entry that is not complete."""
    return [_program(facts, path.name) for facts in tomllib.loads(path.read_text())["program"]]


def _program(facts: dict[str, Any], file: str) -> Program:
    where = f"{file}, program {facts.get('name')!r}"
    if unknown := set(facts) - set(Program.__dataclass_fields__):
        raise ValueError(f"{where}: unknown key {sorted(unknown)[0]!r}")
    if missing := {"name", "what", "requires", "steps"} - set(facts):
        raise ValueError(f"{where}: {sorted(missing)[0]!r} is missing")
    if loose := [requirement for requirement in facts["requires"] if "==" not in requirement]:
        raise ValueError(f"{where}: {loose[0]!r} is not pinned")
    lists: dict[str, Any] = {key: tuple(facts[key]) for key in ("requires", "steps", "ignore") if key in facts}
    return Program(**{**facts, **lists})


def run_program(program: Program, launcher: Launcher, python: str, source: Path = FOLDER) -> Run:
    """Run its steps in a fresh copy of its folder; ServerFailed if its server does not start."""
    with tempfile.TemporaryDirectory(prefix="compat-", ignore_cleanup_errors=True) as name:
        top = Path(name)
        for part in ("home", "server", "tmp"):
            (top / part).mkdir()
        cwd = top / "cwd"
        if (source / program.name).is_dir():
            shutil.copytree(source / program.name, cwd, ignore=shutil.ignore_patterns("__pycache__"))
        (cwd / "out").mkdir(parents=True, exist_ok=True)
        environ = {**third_party.environ_of(python, top), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"}
        with _server(program, python, cwd, top, environ) as facts:
            facts = {**facts, "launcher": " ".join(launcher.prefix)}
            environ.update({key: value.format_map(facts) for key, value in program.environ.items()})
            environ.update(launcher.environ)
            said = []
            started = time.monotonic()
            for step in program.steps:
                said += [f"$ {step}", *_step([python, *launcher.prefix], step.format_map(facts), cwd, environ)]
            seconds = time.monotonic() - started
        ignore = [re.compile(pattern) for pattern in program.ignore]
        ports = {facts["port"]: "PORT"} if "port" in facts else {}
        lines = [_plain(line, {str(cwd): "CWD", str(top): "TOP", **ports}, ignore) for line in said]
        return Run([*(sorted(lines) if program.unordered else lines), *_files(cwd / "out")], seconds)


@contextlib.contextmanager
def _server(program: Program, python: str, cwd: Path, top: Path, environ: dict[str, str]) -> Iterator[dict[str, str]]:
    """The server that it needs; at least a free port."""
    if program.server:
        with servers.running(program.server, top / "server") as facts:
            yield facts
    elif program.beside:
        word, *rest = shlex.split(program.beside)
        own = servers.Server("", "", (python if word == "python" else word, *rest), b"GET / HTTP/1.0\r\n\r\n", b"HTTP/")
        with servers.start(own, cwd, environ) as facts:
            yield facts
    else:
        yield {"port": str(servers.free_ports(1)[0])}  # for a server that a step starts


def _step(python: list[str], step: str, cwd: Path, environ: dict[str, str]) -> list[str]:
    word, *rest = shlex.split(step)
    command = [*python, *rest] if word == "python" else [word, *rest]
    try:
        done = subprocess.run(
            command, cwd=cwd, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=STEP_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        return [*(error.stdout or b"").decode("utf-8", "replace").splitlines(), f"did not end within {STEP_SECONDS:.0f} s"]
    return [*done.stdout.decode("utf-8", "replace").splitlines(), f"exit code {done.returncode}"]


def _plain(line: str, names: dict[str, str], ignore: list[re.Pattern[str]]) -> str:
    for name, instead in names.items():
        line = line.replace(name, instead)
    for pattern in ignore:
        line = pattern.sub("...", line)
    return line.rstrip()


def _files(folder: Path) -> list[str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return [f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}" for path in files]


def difference(one: Run, other: Run) -> list[str]:
    """What another run did otherwise; nothing if it did the same."""
    return list(difflib.unified_diff(one.said, other.said, "native", "dhagapatch", lineterm="", n=1))


def add_options(parser: argparse.ArgumentParser, python: str) -> None:
    """The command line of the command."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="programs (default: all that are in the table)")
    parser.add_argument("--python", default=python, metavar="PY", help="the interpreter (default: this one)")
    parser.add_argument("--cache", type=Path, default=third_party.cache_folder(), metavar="DIR", help="virtual environments")
    parser.add_argument("--show", action="store_true", help="print what each program said natively")


def run(options: argparse.Namespace, console: Console) -> int:
    """The exit code: 0, 1 if a program did not do the same, 2 if something is missing; ValueError for a wrong name."""
    programs = read(TABLE)
    if unknown := set(options.names) - {program.name for program in programs}:
        raise ValueError(f"no program {sorted(unknown)[0]!r}; there are: {', '.join(program.name for program in programs)}")
    look = [options.python, "-c", "import sys; print(sys.version.split()[0])"]
    version = subprocess.run(look, capture_output=True, text=True, check=True).stdout.strip()
    ready = []
    lacking = False
    for program in programs:
        if options.names and program.name not in options.names:
            continue
        try:
            if lack := servers.missing(program.server):
                raise environments.EnvironmentFailed(lack)
            with console.status(f"{program.name}: a virtual environment"):
                folder = options.cache / f"program-{program.name}-py{version}"
                stamp = json.dumps(program.requires)
                ready.append((program, environments.install(folder, options.python, [*program.requires], stamp, [])))
        except environments.EnvironmentFailed as error:
            console.print(f"{program.name}: {error}", markup=False)
            lacking = True
    fence.fence()
    same = [_compared(console, program, python, options.show) for program, python in ready]
    table = Table("program", "what", "native", "dhagapatch", "the same")
    for (program, _), (equal, seconds) in zip(ready, same, strict=True):
        table.add_row(program.name, program.what, *(f"{one:.1f} s" for one in seconds), "yes" if equal else "NO")
    console.print(table)
    return 2 if lacking else int(not all(equal for equal, _ in same))


def _compared(console: Console, program: Program, python: str, show: bool) -> tuple[bool, list[float]]:
    """Whether it does the same, and the seconds that it took; tells what it does not."""
    try:
        with console.status(program.name):
            native, here = (run_program(program, LAUNCHERS[name], python) for name in ("native", "dhagapatch"))
    except servers.ServerFailed as error:
        console.print(f"{program.name}: {error}", markup=False)
        return False, [0.0, 0.0]
    if show:
        console.print("\n".join(native.said), markup=False)
    lines = difference(native, here)
    if lines:
        console.print(f"{program.name}:", *lines, sep="\n", markup=False)
    return not lines, [native.seconds, here.seconds]
