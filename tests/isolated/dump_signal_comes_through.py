"""A signal has a dump printed, whatever the program is doing, and the program goes on; a daemon closes all descriptors first."""

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


LOOP = "def loop():\n    t = time.monotonic()\n    while time.monotonic() - t < 2: pass\n"
RUNS = "(?:running|ready)" if os.environ.get("DHAGAPATCH_TIMESLICE") else "running"  # it may have made room just now
OTHER = "threading.Thread(target=time.sleep, args=(60,), name='other', daemon=True).start()\ntime.sleep(0)\n"
WORK = {
    "a wait": ("ready(); time.sleep(2)", r"main dhaga MainThread \d+: parked, waits for a deadline"),
    "a loop": (LOOP + "ready(); loop()", rf"main dhaga MainThread \d+: {RUNS}\n(?s:.*)in loop"),
    "C code that lets go of the interpreter": (
        "from dhagapatch import _real\ndef work(): _real.sleep(2)\nready(); work()", r"MainThread \d+: running\n(?s:.*)in work"
    ),
    "C code that holds it": (
        "import ctypes\ndef work(): ctypes.PyDLL(None).usleep(900000)\nready(); work(); time.sleep(0.5)", r"MainThread \d+: "
    ),
    "no hub yet": ("from dhagapatch import _real\nready(); _real.sleep(2)", r"0 hubs(?s:.*)native thread MainThread"),
}  # fmt: skip


def check(name):
    program, words = WORK[name]
    code, out, error = sent(("" if name == "no hub yet" else OTHER) + program + "\nprint('goes on')")
    assert (code, out) == (0, "goes on\n"), (name, code, out, error)
    assert error.startswith("dhagapatch: process ") and re.search(words, error), (name, error)
    assert name == "no hub yet" or re.search(r"dhaga other \d+: parked, waits for a deadline, for 5\d\.", error), (name, error)
    assert "/dhagapatch/" not in error, error


with concurrent.futures.ThreadPoolExecutor(3) as pool:
    list(pool.map(check, WORK))

# a daemon that closes all descriptors that it finds, by code that does not pass by the patched `os.close`, too
code, out, error = sent("""
from dhagapatch import _real
high = [int(name) for name in os.listdir('/proc/self/fd') if int(name) > 900]
os.closerange(3, 4096)
for number in high: _real.os_close(number)
ready()
t = time.monotonic()
while time.monotonic() - t < 0.7: pass
print('goes on', flush=True); os._exit(0)
""")  # fmt: skip
assert (code, out) == (0, "goes on\n") and "dhagapatch: process" in error, (code, out, error)
