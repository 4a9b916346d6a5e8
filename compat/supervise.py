"""Runs one test module, or suite, in processes of its own, to its end: a hang or a crash costs one test; the rest still runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from compat.launchers import Launcher
from compat.results import Outcome, Result

__all__ = ["Limits", "run_module", "run_to_end"]

AGENT = Path(__file__).parent / "agent.py"
DUMP_SIGNALS = (signal.SIGRTMAX - 3, signal.SIGRTMAX - 2)  # as in inside/compat_tell.py
DUMP_SECONDS = 1.0  # to write what each asks for
STARTS = 40  # a module that hangs or crashes more often is given up
LOG_CHARACTERS = 12000


class Limits:
    """Seconds that a test may take, from what it took natively."""

    def __init__(self, native: Result | None) -> None:
        self._native = native

    def of(self, key: str | None) -> float:
        """For a test; for what is between tests (imports, fixtures) with None."""
        if self._native is None:
            return 180.0
        if key is None:
            return 60.0
        known = self._native.outcomes.get(key)
        return 20.0 + 5 * known.seconds if known is not None else 60.0


class _Attempt:
    """One process: from its start to its end, or to the first test that takes too long."""

    def __init__(self, command: list[str], environ: dict[str, str], folder: Path, cwd: Path, limits: Limits) -> None:
        self.begun: str | None = None
        self.hung = False
        self.over = False
        self.loaded = False
        self.children = [0, 0]
        self.left: list[str] = []
        self.ended: dict[str, Outcome] = {}
        self._events = folder / "events"
        self._read = 0
        self._rest = b""
        self._limits = limits
        self._moved = time.monotonic()
        self._log = folder / "log"
        self._command = command
        self._environ = environ
        self._cwd = cwd

    def run(self) -> int:
        """The exit code."""
        self._events.write_bytes(b"")
        with open(self._log, "wb") as log:
            process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._cwd, env=self._environ,
                start_new_session=True,
            )  # fmt: skip
            try:
                self._watch(process)
            finally:
                _kill_group(process.pid)
                code = process.wait()
        self._take_events()
        return code

    def log(self) -> str:
        """The end of what it printed."""
        return self._log.read_bytes()[-LOG_CHARACTERS:].decode("utf-8", "replace")

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        while True:
            try:
                process.wait(0.05)
                return
            except subprocess.TimeoutExpired:
                pass
            self._take_events()
            if time.monotonic() - self._moved > self._limits.of(self.begun):
                self.hung = True
                for number in DUMP_SIGNALS:
                    os.kill(process.pid, number)
                    try:
                        process.wait(DUMP_SECONDS)
                        return
                    except subprocess.TimeoutExpired:
                        pass
                return

    def _take_events(self) -> None:
        with open(self._events, "rb") as file:
            file.seek(self._read)
            data = file.read()
        if not data:
            return
        self._read += len(data)
        self._moved = time.monotonic()
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            facts = json.loads(line)
            if "begin" in facts:
                self.begun = facts["begin"]
            elif "end" in facts:
                self.ended[facts["end"]] = Outcome(facts["outcome"], facts["seconds"], facts["text"])
                self.begun = None
            self.loaded = self.loaded or "loaded" in facts
            self.left = facts.get("left", self.left)
            if "over" in facts:
                self.over = True
                self.children = facts["children"]


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run_module(
    python: str,
    version: str,
    module: str,
    launcher: Launcher,
    native: Result | None,
    skipped: Callable[[str], bool],
    told: Callable[[str, Outcome], None],
) -> Result:
    """Run one module, but not what hung natively or is `skipped`; `told` hears of each hang and crash as it happens."""
    with tempfile.TemporaryDirectory(prefix="compat-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        cwd = folder / "cwd"
        cwd.mkdir()
        command = [python, *launcher.prefix, str(AGENT), module, str(folder / "events"), str(folder / "done")]
        environ = {**os.environ, **launcher.environ}
        return run_to_end(Result(module, version, launcher.name), command, environ, folder, cwd, native, skipped, told)


def run_to_end(
    result: Result,
    command: list[str],
    environ: dict[str, str],
    folder: Path,
    cwd: Path,
    native: Result | None,
    skipped: Callable[[str], bool],
    told: Callable[[str, Outcome], None],
) -> Result:
    """Start `command` until every test had its turn; it appends to `folder`/events and leaves out what `folder`/done names.

    Returns `result`, filled.
    """
    limits = Limits(native)
    started = time.monotonic()
    known = native.outcomes if native is not None else {}
    left_out = [key for key, outcome in known.items() if outcome.outcome == "hang" or skipped(key)]
    while not result.problem:
        (folder / "done").write_text(json.dumps([*left_out, *result.outcomes]))
        attempt = _Attempt(command, environ, folder, cwd, limits)
        code = attempt.run()
        result.starts += 1
        result.outcomes.update(attempt.ended)
        result.children = [mine + more for mine, more in zip(result.children, attempt.children, strict=True)]
        result.left = attempt.left
        if attempt.over:
            if attempt.hung or code < 0:
                result.problem = f"at exit: {'a hang' if attempt.hung else f'exit code {code}'}\n{attempt.log()}"
            break
        outcome = Outcome("hang" if attempt.hung else "crash", 0.0, f"exit code {code}\n{attempt.log()}")
        if attempt.begun is not None:
            result.outcomes[attempt.begun] = outcome
            told(attempt.begun, outcome)
        elif attempt.ended:
            result.outcomes[f"{result.module}: after {list(attempt.ended)[-1]}"] = outcome
        else:
            result.problem = f"no test began: {outcome.text}"
        if result.starts >= STARTS:
            result.problem = f"given up after {STARTS} starts"
    result.seconds = round(time.monotonic() - started, 2)
    return result
