"""`python -m dhagapatch` beside plain `python`: the same output, errors and exit code, to the text."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

SHOW = """
import sys, threading, os
print(sys.argv, sys.path[0], __name__, __file__, __spec__, repr(__package__), type(__loader__).__name__, sorted(globals()))
print(sys.modules["__main__"].__dict__ is globals(), __builtins__ is sys.modules["builtins"], __doc__, sys.exc_info())
print(threading.current_thread() is threading.main_thread(), threading.active_count())
"""

PROGRAMS = {
    "fails_in_a_thread_and_then_in_main": """
import threading
def work():
    raise ValueError("in thread")
thread = threading.Thread(target=work); thread.start(); thread.join()
def f():
    1/0
f()
""",
    "last_moments": """
import logging, os, queue, socket, threading, time

class Late:
    def __init__(self):
        self.lock, self.rlock, self.condition = threading.Lock(), threading.RLock(), threading.Condition()
        self.queue, self.simple, self.event, self.local = queue.Queue(), queue.SimpleQueue(), threading.Event(), threading.local()
        self.local.x = 1
        self.pair, (reader, self.pipe) = socket.socketpair(), os.pipe()
        self.file = open(reader, 'rb')
        self.write, self.sleep, self.ident, self.logger = os.write, time.sleep, threading.get_ident, logging.getLogger()

    def __del__(self):  # when the interpreter clears the module
        with self.lock, self.rlock, self.condition:
            self.condition.notify_all()
        self.queue.put(1)
        self.simple.put(2)
        print(self.queue.get(), self.simple.get(), self.local.x, self.ident() is not None)
        self.pair[0].send(b'x')
        print(self.pair[1].recv(1))
        self.write(self.pipe, b'line')
        os.close(self.pipe)
        print(self.file.read())
        self.event.set()
        print(self.event.wait(1), self.lock.acquire(timeout=0.01), self.lock.acquire(timeout=0.01))
        self.sleep(0.01)
        self.logger.warning('late')

logging.basicConfig(format='%(message)s')
late = Late()
time.sleep(0.001)
""",
    "syntax_error": "def f(:\n",
    "interrupts_itself": "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(5)\n",
    "interrupted_while_it_sleeps": """
import os, signal, time, threading
threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    time.sleep(5)
finally:
    print("clean")
""",
    "daemon_and_other_threads_at_exit": """
import threading, time, atexit
atexit.register(print, "atexit")
def forever():
    try: time.sleep(10)
    finally: print("never")
threading.Thread(target=forever, daemon=True).start()
def work():
    time.sleep(0.05); print("the other is done")
threading.Thread(target=work).start()
print("main is done")
""",
    "exits_in_a_thread": """
import sys, threading, _thread, time
def leave(): sys.exit(5)
thread = threading.Thread(target=leave); thread.start(); thread.join()
ended = _thread.allocate_lock(); ended.acquire()
def work():
    ended.release()
    1/0
_thread.start_new_thread(work, ())
ended.acquire()
while _thread._count(): time.sleep(0.001)  # it is reported before it counts as ended
sys.exit("bye")
""",
    "chained_error_out_of_a_wait": """
import socket
a, b = socket.socketpair(); a.settimeout(0.01)
try:
    a.recv(1)
except TimeoutError as error:
    raise KeyError("none came") from error
""",
    "warns_and_fails_in_a_coroutine": """
import asyncio, warnings
warnings.warn("first")
async def main():
    await asyncio.sleep(0.01)
    raise RuntimeError("in a coroutine")
asyncio.run(main())
""",
    "ends_with_a_group": """
import queue
def wait():
    queue.Queue().get(timeout=0.01)
errors = []
for _ in range(2):
    try: wait()
    except queue.Empty as error: errors.append(error)
raise ExceptionGroup("both", errors)
""",
    "has_an_excepthook_of_its_own": """
import sys, threading
sys.excepthook = lambda *args: print("main hook", args[0].__name__)
threading.excepthook = lambda args: print("thread hook", args.exc_type.__name__, args.thread.name)
thread = threading.Thread(target=lambda: 1/0, name="t"); thread.start(); thread.join()
1/0
""",
    "leaves_at_once": "import os, threading, time; threading.Thread(target=time.sleep, args=(9,)).start(); os._exit(3)\n",
}

COMMANDS = {
    "arguments": ["-c", "import sys; print(sys.argv, __name__, sys.path[0]); raise SystemExit(4)", "-m", "--audit"],
    "error": ["-c", "1/0"],
    "syntax error": ["-c", "def f(:"],
    "no stdin": ["-c", "print(input())"],
    "missing file": ["missing.py"],
    "missing module": ["-m", "missing"],
    "missing part of a package": ["-m", "package.missing"],
    "module without main": ["-m", "os"],
    "standard input": ["-"],
    "unittest": ["-m", "unittest"],
    "module's own usage": ["-m", "json.tool", "missing.json"],
}


def _run(launcher: list[str], arguments: list[str], folder: Path, stdin: str = "") -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, *launcher, *arguments], cwd=folder, input=stdin, capture_output=True, text=True, timeout=30
    )
    return done.returncode, *(re.sub(r"0x[0-9a-f]+", "0x...", text) for text in (done.stdout, done.stderr))


def _same(arguments: list[str], folder: Path, stdin: str = "") -> None:
    assert _run(["-m", "dhagapatch"], arguments, folder, stdin) == _run([], arguments, folder, stdin)


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.py").write_text(PROGRAMS[name])
    _same([f"{name}.py"], tmp_path)


@pytest.mark.parametrize("name", COMMANDS)
def test_command(name: str, tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    _same(COMMANDS[name], tmp_path, "" if name == "no stdin" else "print('from stdin', __name__)")


def test_kinds_of_programs_see_the_same(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    for path in (tmp_path / "file.py", package / "__main__.py", package / "part.py", package / "__init__.py"):
        path.write_text("" if path.stem == "__init__" else SHOW)
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        archive.writestr("__main__.py", SHOW)
    for arguments in (["file.py", "a", "-b"], ["./package"], ["app.zip"], ["-m", "package", "x"], ["-m", "package.part"]):
        _same(arguments, tmp_path)


def test_frames_of_the_runtime_can_be_shown(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAMS["chained_error_out_of_a_wait"])
    done = subprocess.run(
        [sys.executable, "-m", "dhagapatch", str(program)], env={"DHAGAPATCH_FRAMES": "1"}, capture_output=True, text=True
    )
    assert "green" in done.stderr


def test_audit_prints_the_report(tmp_path: Path) -> None:
    code, out, error = _run(["-m", "dhagapatch", "--audit"], ["-c", "print('done')"], tmp_path)
    assert (code, out) == (0, "done\n")
    assert error.startswith("dhagapatch: ") and "names replaced" in error


def test_bad_options_say_what_to_do(tmp_path: Path) -> None:
    for options, words in (
        (["--disable", "nonsense"], "no group or name 'nonsense'"),
        (["--nonsense"], "unknown option: --nonsense"),
        (["--disable"], "--disable needs a name"),
        (["--offload"], "--offload needs a name"),
        (["--offload", "os.nonsense"], "os has no 'nonsense'"),
        (["--offload", "time"], "a function's name with its module is needed"),
        (["--disabel", "ssl"], "did you mean --disable?"),
        (["--timeslice", "abc"], "--timeslice needs seconds"),
        (["--timeslice", "nan"], "0.001 to 60 seconds"),
        (["--stall=-1"], "0.01 to 3600 seconds"),
        (["--audit=1"], "takes no value"),
        (["-u"], "-u is an option of the interpreter: put it before -m"),
        (["-O", "x"], "put it before -m"),
        (["-i", "x"], "put it before -m"),
        (["-W", "error"], "put it before -m"),
        ([], "nothing to run"),
    ):
        code, out, error = _run(["-m", "dhagapatch", *options], ["-c", "pass"] if options[1:] else [], tmp_path)
        assert (code, out) == (2, "") and words in error, (options, error)
        assert error.startswith("python -m dhagapatch: ") and error.count("\n") == 1, error


@pytest.mark.parametrize("command", [["-m", "dhagapatch", "-c", "pass"], ["-c", "import dhagapatch"]])
def test_bad_variables_say_what_to_do(command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("TIMESLICE", "abc"), ("TIMESLICE", "inf"), ("STALL", "nan"), ("OFFLOAD_THREADS", "0"), ("OFFLOAD_THREADS", "1.5"),
        ("OFFLOAD_IDLE", "-1"), ("POLLER", "x"), ("DUMP_SIGNAL", "SIGNONE"), ("FRAMES", "maybe"), ("CHILDREN", "x"),
    ):  # fmt: skip
        monkeypatch.setenv(f"DHAGAPATCH_{name}", value)
        code, out, error = _run(command, [], tmp_path)
        assert code and not out and f"DHAGAPATCH_{name}={value}" in error.splitlines()[-1].replace("'", ""), error
        if "-m" in command:
            assert code == 2 and error.count("\n") == 1, error
        monkeypatch.setenv(f"DHAGAPATCH_{name}", "")
        assert _run(command, [], tmp_path)[0] == 0
    monkeypatch.setenv("DHAGAPATCH_TIMESLCE", "0.01")
    code, _out, error = _run(["-m", "dhagapatch"], ["-c", "pass"], tmp_path)
    assert code == 0 and "DHAGAPATCH_TIMESLICE" in error and error.count("\n") == 1, error


def test_what_is_asked_from_outside_needs_a_process(tmp_path: Path) -> None:
    for word in ("top", "dump"):
        code, out, error = _run(["-m", "dhagapatch", word], [], tmp_path)
        assert code == 2 and not out and error.count("\n") == 1 and "process" in error.lower(), error


def test_a_group_can_be_left_as_it_is(tmp_path: Path) -> None:
    code = "import time, dhagapatch; print(dhagapatch.is_patched('time.sleep'), dhagapatch.is_patched('socket'))"
    assert _run(["-m", "dhagapatch", "--disable", "time"], ["-c", code], tmp_path)[1] == "False True\n"
    assert _run(["-m", "dhagapatch", "--disable=time.sleep,socket"], ["-c", code], tmp_path)[1] == "False False\n"


def test_callables_run_on_native_threads_by_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("binascii.a2b_uu", "binascii.b2a_uu", "sqlite3", "binascii.crc_hqx")
    code = f"import binascii, dhagapatch, sqlite3; print([dhagapatch.is_patched(name) for name in {names}])"
    options = ["--offload", "binascii.a2b_uu, binascii.b2a_uu", "--offload=sqlite3"]
    assert _run(["-m", "dhagapatch", *options], ["-c", code], tmp_path)[1] == "[True, True, True, False]\n"
    monkeypatch.setenv("DHAGAPATCH_OFFLOAD", "binascii.crc_hqx,sqlite3")
    assert _run(["-m", "dhagapatch"], ["-c", code], tmp_path)[1] == "[False, False, True, True]\n"
    assert _run(["-m", "dhagapatch", *options], ["-c", code], tmp_path)[1] == "[True, True, True, False]\n"
    monkeypatch.delenv("DHAGAPATCH_OFFLOAD")
    child = f"import subprocess, sys; print(subprocess.check_output([sys.executable, '-c', {code!r}], text=True))"
    assert _run(["-m", "dhagapatch", "--children", *options], ["-c", child], tmp_path)[1] == "[True, True, True, False]\n\n"


@pytest.mark.parametrize(("option", "seconds"), [(("--timeslice", "0"), 0.0), (("--timeslice", "0.02"), 0.02), ((), 0.005)])
def test_what_the_launcher_is_told_goes_before_the_environment(
    option: tuple[str, ...], seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the program patches again itself."""
    monkeypatch.setenv("DHAGAPATCH_TIMESLICE", "0.005")
    source = (
        "import dhagapatch; from dhagapatch.monkey.engine import engine; first = engine.timeslice; dhagapatch.patch_all(); "
        "print(first, engine.timeslice); dhagapatch.unpatch_all(); dhagapatch.patch_all(); print(engine.timeslice)"
    )
    command = [sys.executable, "-m", "dhagapatch", *option, "-c", source]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == [str(seconds), str(seconds), "0.005"], done
