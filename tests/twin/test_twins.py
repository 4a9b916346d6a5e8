"""The same body, run native and patched: their transcripts must be equal, to the text."""

from __future__ import annotations

import ast
import json
import os
import sys
from pathlib import Path

import pytest
from ahead import Ahead, run_group

from dhagapatch.core.extension import speedups

HERE = Path(__file__).parent
MODES = {
    "launcher": (["-m", "dhagapatch"], [], {}),
    "late": ([], ["--late"], {}),
    "python": (["-m", "dhagapatch"], [], {"DHAGAPATCH_SPEEDUPS": "0"}),
    "poll": (["-m", "dhagapatch"], [], {"DHAGAPATCH_POLLER": "poll"}),
    "slices": (["-m", "dhagapatch"], [], {"DHAGAPATCH_TIMESLICE": "0.005"}),
}
NATIVE: tuple[list[str], list[str], dict[str, str]] = ([], [], {})
# what waits for descriptors, and so depends on the poller
POLLED = (
    "sockets", "sockets_life", "sockets_udp", "sockets_unix", "tls", "select_calls", "network_libs", "names", "pipes", "files",
    "processes", "asyncio_threads",
)  # fmt: skip
# what computes or spins between its waits, or holds something while it does, and so depends on where it is interrupted.  Left out
# are those whose threads only wait, or wait in C code, where there are no slices (names, tls, files); those that are about other
# processes, which have none (processes, subprocesses, multiprocesses, terminals); and what is the same for all threads or is
# looked at by one alone (imports, logging_calls, thread_state): there a slice never ends, and nothing would be tried.  Not yet
# `signals`: its process was seen to fail as a whole, once in some thirty runs, which is to be understood first
PREEMPTED = ("buffers", "forks", "futures", "locks", "pipes", "queues", "select_calls", "sockets", "threads")
LIMITED_TO = {"poll": POLLED, "slices": PREEMPTED}
# what without the compiled part differs, as docs/explanation/differences.md says
COMPILED = ("databases_in_c", "thread_state_in_c", "wrong_arguments_in_c")
BODY_LIMIT = 120.0 * float(os.environ.get("TEST_PATIENCE", "1"))  # seconds; each case has its own, shorter one


def _cases() -> list[tuple[str, str]]:
    found = []
    for path in sorted((HERE / "bodies").glob("*.py")):
        tree = ast.parse(path.read_text())
        names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("case_")]
        assert len(names) == len(set(names)), f"{path.name} defines a case twice"
        found += [(path.stem, name) for name in names]
    return found


def _run(body: str, mode: str) -> dict[str, list[str]]:
    """The transcript of each case; a case that hung or crashed has what was printed by it."""
    launcher, options, environ = MODES.get(mode, NATIVE)
    transcripts: dict[str, list[str]] = {}
    after: list[str] = []
    while True:
        command = [sys.executable, *launcher, str(HERE / "harness.py"), str(HERE / "bodies" / f"{body}.py"), *options, *after]
        done = run_group(command, BODY_LIMIT, {**environ, "PYTHONFAULTHANDLER": "1"})
        begun = None
        for line in done.stdout.splitlines():
            said = json.loads(line)
            if "begin" in said:
                begun = said["begin"]
            else:
                transcripts[said["case"]] = said["lines"]
                begun = None
        if done.returncode == 0:
            return transcripts
        assert begun is not None, f"{' '.join(command)} exited with {done.returncode}:\n{done.stderr}"
        transcripts[begun] = [f"exit code {done.returncode}", done.stderr[-12000:]]
        after = ["--after", begun]


_transcripts = Ahead(_run, "body", "mode")


@pytest.mark.parametrize(
    ("body", "case", "mode"),
    [
        (body, case, mode)
        for body, case in _cases()
        for mode in MODES
        if body in LIMITED_TO.get(mode, (body,)) and (body not in COMPILED or (speedups is not None and mode != "python"))
    ],
)
def test_twin(body: str, case: str, mode: str, request: pytest.FixtureRequest) -> None:
    native = _transcripts.result(request, mode="native")[case]
    assert native and not any(line.startswith(("the case itself failed", "exit code")) for line in native), "\n".join(native)
    patched = _transcripts.result(request)[case]
    assert "\n".join(patched) == "\n".join(native)
