"""The signal that dumps is invisible to the program, to its children and to its exec'd ones; other signals, none, bad ones."""

import concurrent.futures
import os
import re
import signal
import subprocess
import sys
import time

signal.signal(signal.SIGQUIT, signal.SIG_DFL)  # a shell that starts this in the background has it ignored
READY = "import sys, os, signal, time, threading\ndef ready(): print('ready', flush=True)\n"


def start(program, *options, launcher=True, before=None, **environ):
    words = [sys.executable, *(("-m", "dhagapatch", *options) if launcher else options), "-c", READY + program]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=before,
                             env={**os.environ, **environ})  # fmt: skip
    assert child.stdout.readline() == "ready\n", child.communicate()
    time.sleep(0.15)
    return child


def sent(program, *options, number=signal.SIGQUIT, **more):
    """Exit code, output and errors of a program that gets the signal when it is ready."""
    child = start(program, *options, **more)
    child.send_signal(number)
    out, error = child.communicate(timeout=10)
    return child.returncode, out, error


# a signal that was ignored when the program began stays so, for its children too
ignoring = lambda: signal.signal(signal.SIGQUIT, signal.SIG_IGN)  # noqa: E731
code, out, error = sent("ready(); time.sleep(0.5); print(signal.getsignal(signal.SIGQUIT) == signal.SIG_IGN)", before=ignoring)
assert (code, out, error) == (0, "True\n", ""), (code, out, error)

LAUNCHER = [sys.executable, "-W", "error::DeprecationWarning", "-m", "dhagapatch", "-c"]
IMPORTS = "import os, signal, subprocess, sys, time\n"
KILL = "child = {}\ntime.sleep(0.3)\nos.kill(child, signal.SIGQUIT)\nprint(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
SLEEPS = [sys.executable, "-c", "import time; time.sleep(5)"]
plain = "import dhagapatch\ndhagapatch.patch_all({})\n{}ready(); time.sleep(0.5)"
FORK = """
child = os.fork()
if not child:
    time.sleep(1.5)
    os._exit(7)
time.sleep(0.5)
os.kill(child, signal.SIGQUIT)
print(child, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
os.kill(os.getpid(), signal.SIGQUIT)
time.sleep(0.3)
"""
KILLED = (
    f"subprocess.Popen({SLEEPS!r}).pid",
    f"os.posix_spawn({sys.executable!r}, {SLEEPS!r}, os.environ)",
    f"os.fork() or os.execv(sys.executable, {SLEEPS!r})",
    "os.fork() or [None for _ in iter(time.monotonic, 0)]",  # without a wait it has no hub, and no watcher
)


def sees():
    _code, out, _error = sent("ready(); time.sleep(0.5)\nprint(repr(signal.getsignal(signal.SIGQUIT)))\n"
                            "print(threading.active_count())")  # fmt: skip
    assert out.startswith("<Handlers.SIG_DFL: 0>\n1\n"), out


def sets():
    for setting in ("lambda *_: print('mine')", "signal.SIG_IGN"):
        program = f"print(repr(signal.signal(signal.SIGQUIT, {setting})), file=sys.stderr); ready(); time.sleep(0.5)"
        code, out, error = sent(program)
        assert (code, error) == (0, "<Handlers.SIG_DFL: 0>\n") and out == ("mine\n" if "mine" in setting else ""), (out, error)


def has_handlers():
    code, _out, error = sent("signal.signal(signal.SIGQUIT, signal.SIG_DFL); ready(); time.sleep(0.5)")
    assert (code, error) == (-signal.SIGQUIT, ""), (code, error)
    code, _out, error = sent("import faulthandler\nfaulthandler.register(signal.SIGQUIT)\nready(); time.sleep(0.5)")
    assert code == 0 and "most recent call first" in error and "dhagapatch: process" not in error, error


def kill_children():
    for child in KILLED:
        done = subprocess.run([*LAUNCHER, IMPORTS + KILL.format(child)], capture_output=True, text=True, timeout=15)
        assert done.stdout == f"{-signal.SIGQUIT}\n" and "dhagapatch:" not in done.stderr, (child, done)
        assert "Deprecation" not in done.stderr, done


def forks():
    done = subprocess.run([*LAUNCHER, IMPORTS + FORK], capture_output=True, text=True, timeout=15)
    pid, code = map(int, done.stdout.split())
    told = [int(word) for word in re.findall(r"dhagapatch: process (\d+)", done.stderr)]
    assert code == 7 and len(told) == 2 and told[0] == pid != told[1], done
    assert "Warning" not in done.stderr, done.stderr


def chooses_another():
    code, _out, error = sent("ready(); time.sleep(0.5)", "--dump-signal", "USR1", number=signal.SIGUSR1)
    assert code == 0 and "dhagapatch: process" in error, error
    for more in ({"DHAGAPATCH_DUMP_SIGNAL": "none"}, {}):
        options = [] if more else ["--dump-signal=none"]
        assert sent("ready(); time.sleep(0.5)", *options, **more) == (-signal.SIGQUIT, "", "")


def patches_itself():
    assert sent(plain.format("", ""), launcher=False)[0] == -signal.SIGQUIT
    code, _out, error = sent(plain.format("dump_signal='SIGQUIT'", ""), launcher=False)
    assert code == 0 and "dhagapatch: process" in error, error
    code, _out, error = sent(plain.format("", ""), launcher=False, DHAGAPATCH_DUMP_SIGNAL="SIGQUIT")
    assert code == 0 and "dhagapatch: process" in error, error
    assert sent(plain.format("dump_signal='SIGQUIT'", "dhagapatch.unpatch_all()\n"), launcher=False)[0] == -signal.SIGQUIT
    assert sent(plain.format("dump_signal='SIGQUIT'", "dhagapatch.patch_all(dump_signal='none')\n"), launcher=False)[0] < 0


CHECKS = (sees, sets, has_handlers, kill_children, forks, chooses_another, patches_itself)
with concurrent.futures.ThreadPoolExecutor(3) as pool:
    for one in [pool.submit(check) for check in CHECKS]:
        one.result()

import dhagapatch

BAD = {"NONSENSE": "no signal has this name", "SIGKILL": "another purpose", 70: "no signal", "INT": "purpose"}
for value, words in BAD.items():
    try:
        dhagapatch.patch_all(dump_signal=value)
        raise AssertionError(value)
    except dhagapatch.DhagapatchError as error:
        assert words in str(error) and repr(value) in str(error) and "SIGUSR1" in str(error), error
assert not dhagapatch.is_patched("time.sleep")
signal.signal(signal.SIGUSR2, lambda *_: None)
try:
    dhagapatch.patch_all(dump_signal="SIGUSR2")
    raise AssertionError
except dhagapatch.DhagapatchError as error:
    assert "choose another" in str(error), error
