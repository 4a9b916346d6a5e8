"""`top` and `dump` show what a process is doing that has opened its socket, also while its hub is stuck; clear errors else."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time

PROGRAM = """
import os, sys, threading, time
def worker():
    while True: time.sleep(0.05)
for n in range(4): threading.Thread(target=worker, daemon=True, name=f'w{n}').start()
def beats():
    t = time.monotonic()
    while time.monotonic() - t < 0.4: pass
time.sleep(0.01)
beats()
print('ready', flush=True)
sys.stdin.readline()
from dhagapatch import _real
def stuck(): _real.sleep(4)
print('stuck', flush=True)
stuck()
"""
runtime = tempfile.mkdtemp()
ENVIRON = {**os.environ, "XDG_RUNTIME_DIR": runtime, "DHAGAPATCH_TIMESLICE": "0"}  # with slices nothing stalls


def start(*options, program=PROGRAM, **environ):
    words = [sys.executable, "-m", "dhagapatch", *options, "-c", program]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             env={**ENVIRON, **environ})  # fmt: skip
    assert child.stdout.readline() == "ready\n", child.communicate()
    return child


def run(*words, code=0):
    done = subprocess.run([sys.executable, "-m", "dhagapatch", *words], capture_output=True, text=True, timeout=20,
                          env={**ENVIRON, "COLUMNS": "150"})  # fmt: skip
    assert done.returncode == code, done
    return done.stdout if not code else done.stderr


child = start("--inspect", "--stall", "0.1")
path = os.path.join(runtime, "dhagapatch", f"{child.pid}.sock")
text = run("top", str(child.pid), "--once")
assert f"process {child.pid}," in text and "5 dhagas" in text and "longest stalls" in text, text
assert re.search(r"\b[1-9]\d* switches/s", text) and re.search(r"│ +4 │ time +│ <string>:4 in worker", text), text
assert re.search(r"ms │ +1 │ .*MainThread │ <string>:8 in beats", text), text
assert "dhaga w0" in run("dump", str(child.pid)) and "main dhaga MainThread" in run("dump", path)
plain = json.loads(run("dump", str(child.pid), "--json"))
assert plain["pid"] == child.pid and len(plain["hubs"][0]["dhagas"]) == 5
# while the hub is stuck in C code
child.stdin.write("\n")
child.stdin.flush()
assert child.stdout.readline() == "stuck\n"
time.sleep(0.1)
begun = time.monotonic()
text = run("dump", str(child.pid))
assert re.search(r"main dhaga MainThread \d+: running\n(?s:.*)in stuck", text) and time.monotonic() - begun < 3.5, text
# a live view
words = [sys.executable, "-m", "dhagapatch", "top", str(child.pid), "--interval", "0.1"]
live = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**ENVIRON, "FORCE_COLOR": "1"})
child.wait(10)
out, error = live.communicate(timeout=10)
assert "has ended" in error or "does not answer" in error, (out, error)
assert "waits by place" in out and live.returncode == 1
assert child.returncode == 0 and not os.path.exists(path)  # at exit
assert "nothing listens at" in run("top", str(child.pid), "--once", code=1)
assert "--inspect" in run("dump", str(child.pid), code=1)
for words in (["top", "--nonsense"], ["dump", "1", "2"], ["top", "1", "--interval", "x"]):
    said = run(*words, code=2)
    assert said.startswith("python -m dhagapatch") and said.count("\n") == 1, said
# without rich
blocked = tempfile.mkdtemp()
os.mkdir(os.path.join(blocked, "rich"))
with open(os.path.join(blocked, "rich", "__init__.py"), "w") as file:
    file.write("raise ImportError('none here')")
child = start(DHAGAPATCH_INSPECT="1")
done = subprocess.run([sys.executable, "-m", "dhagapatch", "top", str(child.pid)], capture_output=True, text=True,
                      env={**ENVIRON, "PYTHONPATH": blocked})  # fmt: skip
assert done.returncode == 1 and "pip install dhagapatch[top]" in done.stderr, done
child.kill()
child.communicate()
