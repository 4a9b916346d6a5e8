"""Each benchmark program runs natively, with tiny sizes, and says that its data were right."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from benchmarks.cases import CASES, KEYS, PROGRAMS, Case
from benchmarks.keys import make_keys
from benchmarks.launchers import LAUNCHERS, OURS
from benchmarks.runner import Plan, run_once

LAUNCHER = {launcher.name: launcher for launcher in LAUNCHERS}
NO_PROGRAMS = {"stopwatch", "status"}  # what the programs share

ECHO = "--connections 3 --trips 2"
TINY = {
    "echo": f"{ECHO} --timeout 30",
    "echo_tls": f"{ECHO} --keys {KEYS}",
    "bulk": "--mib 3 --block 65536",
    "http_keepalive": "--clients 2 --gets 2",
    "backup_rpc": f"--clients 2 --requests 16 --keys {KEYS}",
    "spawn_join": "--threads 5 --batch 2",
    "sleepers": "--threads 5 --seconds 0.01",
    "idle_threads": "--threads 5",
    "pool_map": "--workers 2 --calls 5",
    "sleep_zero": "--threads 2 --calls 5",
    "local_attribute": "--threads 2 --steps 5",
    "dns": "--threads 2 --count 2",
    "echo_server": "--connections 4 --messages 8",
    "http_server": "--connections 2 --seconds 0.2",
    "nothing": "--runs 1 --launch",
}


def every_run() -> list[tuple[str, str, str]]:
    """Case, launcher and arguments: a case for each program, and for each thing that some programs are about."""
    runs = []
    seen = set()
    for case in CASES:
        arguments = TINY.get(case.program, "")
        if case.program in ("free", "ping_pong"):
            what, count = ("--what", "--operations") if case.program == "free" else ("--by", "--trips")
            arguments = f"{what} {case.arguments[1]} {count} 5"
        if case.program == "blocking":
            arguments = f"--what {case.arguments[1]} --threads 2 --operations 2"
        if (case.program, arguments) not in seen and case.command in ("", shutil.which(case.command) and case.command):
            seen.add((case.program, arguments))
            runs.append((case.name, "threads", arguments))
            runs += [(case.name, name, arguments) for name in case.references if name != "uvloop"]
    echo = next(run for run in runs if run[0] == "echo-1")
    return [run if run[1] == "threads" or run[0] != "echo-1" else (*run[:2], ECHO) for run in runs] + [(echo[0], OURS, ECHO)]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    make_keys(folder)
    return folder


@pytest.mark.parametrize(("name", "launcher", "arguments"), every_run())
def test_a_program_runs(name: str, launcher: str, arguments: str, keys: Path) -> None:
    case = next(case for case in CASES if case.name == name)._replace(quick=tuple(arguments.split()))
    sample = run_once(Plan(sys.executable, [case], LAUNCHERS, 1, True, 30.0, str(keys)), case, LAUNCHER[launcher])
    assert sample.operations > 0
    assert (sample.memory_bytes is not None) == (case.program in ("idle_threads", "echo_server"))


def test_imports_are_measured_in_fresh_interpreters() -> None:
    case: Case = next(case for case in CASES if case.name == "import-patch")
    plan = Plan(sys.executable, [case], LAUNCHERS, 1, True, 30.0)
    assert run_once(plan, case, LAUNCHER[OURS]).operations == 1


def test_every_program_is_run() -> None:
    programs = {path.stem for path in PROGRAMS.glob("*.py")} - NO_PROGRAMS
    rewritten = {f"{case.program}{LAUNCHER[name].rewrite}" for case in CASES for name in case.references}
    assert programs == {case.program for case in CASES} | rewritten
