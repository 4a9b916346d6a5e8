"""Each ending, native and patched: exit code, standard output and standard error are the same."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from ahead import ENVIRON, Ahead
from finalizers import FINALIZERS
from leaving import LEAVING
from outliving import OUTLIVING
from streams import STREAMS

ENDINGS = {**FINALIZERS, **STREAMS, **LEAVING, **OUTLIVING}
LIMIT = 30.0  # seconds; what hangs is killed
PATCHED = "import dhagapatch; dhagapatch.patch_all()"
LAUNCHER = ("-m", "dhagapatch")
# options of the interpreter, what stands for PATCH, settings
MODES: dict[str, tuple[tuple[str, ...], str, dict[str, str]]] = {
    "native": ((), "pass", {}),
    "launcher": (LAUNCHER, "pass", {}),
    "late": ((), PATCHED, {}),
    "python": (LAUNCHER, "pass", {"DHAGAPATCH_SPEEDUPS": "0"}),
    "late python": ((), PATCHED, {"DHAGAPATCH_SPEEDUPS": "0"}),
    "slices": (LAUNCHER, "pass", {"DHAGAPATCH_TIMESLICE": "0.005"}),
}
_SCRUB = (
    (re.compile(r"0x[0-9a-fA-F]{4,}"), "0x..."),
    (re.compile(r"\bfd=\d+"), "fd=N"),
    # without the compiled part ctypes is there, of which some systems' libffi keeps a file open
    (re.compile(r"\bname=\d+"), "name=N"),
    (re.compile(r"\[\d\]"), "[N]"),
    (re.compile(r"\b\d{12,}\b"), "IDENT"),
    (re.compile(r"/tmp/[\w./-]+/"), "TMP/"),
)


def _command(name: str, mode: str, folder: str) -> list[str]:
    ending = ENDINGS[name]
    launcher, patch, _ = MODES[mode]
    source = ending.source.replace("PATCH", patch)
    program = os.path.join(folder, "program.py")
    Path(program).write_text(source)
    what = {"file": [program], "-c": ["-c", source], "-m": ["-m", "program"]}[ending.way]
    return [sys.executable, *ending.options, *launcher, *what]


def _open_output(output: str, folder: str) -> tuple[int, int]:
    """A descriptor for the program, and one to read what it wrote, or -1."""
    if output == "terminal":
        reader, writer = pty.openpty()
        return writer, reader
    if output == "file":
        path = os.path.join(folder, "output")
        return os.open(path, os.O_WRONLY | os.O_CREAT), os.open(path, os.O_RDONLY)
    if output == "full":
        return os.open("/dev/full", os.O_WRONLY), -1
    reader, writer = os.pipe()
    if output == "broken":
        os.close(reader)
        reader = -1
    return writer, reader


def _read_all(reader: int) -> bytes:
    parts = []
    while reader >= 0:
        try:
            part = os.read(reader, 65536)
        except OSError:  # a terminal whose other end is closed
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts)


def _run(name: str, mode: str, output: str) -> str:
    """What is to be the same in each mode."""
    environ = {key: value for key, value in ENVIRON.items() if key not in ("PYTHONUNBUFFERED", "PYTHONFAULTHANDLER")}
    with tempfile.TemporaryDirectory() as folder:
        command = _command(name, mode, folder)
        if output == "closed":
            command = ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *command]
        writer, reader = _open_output(output, folder)
        errors = os.open(os.path.join(folder, "errors"), os.O_RDWR | os.O_CREAT)
        try:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=writer, stderr=errors, cwd=folder, env={**environ, **MODES[mode][2]}
            )
            os.close(writer)
            stop = threading.Timer(LIMIT, child.kill)  # it may hang
            stop.start()
            try:
                said = b"" if output == "file" else _read_all(reader)
                code = child.wait()
            finally:
                stop.cancel()
            if output == "file":
                said = _read_all(reader)
            complained = _read_all(errors) if os.lseek(errors, 0, 0) == 0 else b""
        finally:
            os.close(errors)
            if reader >= 0:
                os.close(reader)
    text = f"exit code {code}\n{said.decode()}\n-- standard error\n{complained.decode()}"
    for pattern, instead in _SCRUB:
        text = pattern.sub(instead, text)
    return text


_endings = Ahead(_run, "name", "mode", "output")


@pytest.mark.parametrize(
    ("name", "mode", "output"),
    [
        (name, mode, output)
        for name, ending in ENDINGS.items()
        for mode in MODES
        for output in ending.outputs
        if mode != "native" and (output == ending.outputs[0] or mode == "launcher")
    ],
)
def test_exit(name: str, mode: str, output: str, request: pytest.FixtureRequest) -> None:
    native = _endings.result(request, mode="native")
    assert _endings.result(request) == native
