"""The socket: its owner's alone, one line of JSON for each request; taken away at exit; a forked child has its own."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time

PROGRAM = """
import os, sys, threading, time
def worker():
    while True: time.sleep(0.005)
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
ENVIRON = {**os.environ, "XDG_RUNTIME_DIR": runtime}


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


child = start(DHAGAPATCH_INSPECT="1")
path = os.path.join(runtime, "dhagapatch", f"{child.pid}.sock")
assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700
assert stat.S_IMODE(os.stat(path).st_mode) == 0o600 and stat.S_ISSOCK(os.stat(path).st_mode)
with socket.socket(socket.AF_UNIX) as client:
    client.settimeout(5)
    client.connect(path)
    file = client.makefile("rwb")
    for request, keys in (("dump", {"dump", "text"}), ("stats", {"stats", "stalls", "dump"}), ("nonsense", {"error"})):
        file.write(request.encode() + b"\n")
        file.flush()
        answer = json.loads(file.readline())
        assert answer.keys() == keys, answer
    file.write(b"dump\nstats\n")  # two at once
    file.flush()
    assert "text" in json.loads(file.readline()) and "stalls" in json.loads(file.readline())
with socket.socket(socket.AF_UNIX) as client:  # too long a line: it hangs up
    client.settimeout(5)
    client.connect(path)
    client.sendall(b"x" * 1500)
    try:
        assert client.recv(10) == b""
    except ConnectionResetError:
        pass
idle = [socket.socket(socket.AF_UNIX) for _ in range(20)]  # who connects and says nothing
for one in idle:
    one.connect(path)
idle[-1].settimeout(5)
assert idle[-1].recv(1) == b""  # there is a limit
for one in idle:
    one.close()
time.sleep(0.2)

# what a process that was killed has left behind is replaced; what is not ours, and what is in use, is not
child.kill()
child.communicate()
mine = os.path.join(runtime, "mine")
child = start(f"--inspect={mine}")
child.kill()
child.communicate()
assert os.path.exists(mine)
child = start(f"--inspect={mine}")
assert f"process {child.pid}" in run("dump", mine)
second = subprocess.run([sys.executable, "-m", "dhagapatch", f"--inspect={mine}", "-c", "pass"], capture_output=True, text=True)
assert second.returncode == 2 and "another process listens there" in second.stderr, second
child.kill()
child.communicate()
with open(os.path.join(runtime, "file"), "w"):
    pass
for where, words in (("file", "there is a file already"), ("missing/socket", "give another path"), ("x" * 200, "give another")):
    words_of_it = [sys.executable, "-m", "dhagapatch", f"--inspect={os.path.join(runtime, where)}", "-c", "pass"]
    done = subprocess.run(words_of_it, capture_output=True, text=True)
    assert done.returncode == 2 and words in done.stderr, done
os.chmod(os.path.join(runtime, "dhagapatch"), 0o755)
words = [sys.executable, "-m", "dhagapatch", "--inspect", "-c", "pass"]
done = subprocess.run(words, capture_output=True, text=True, env=ENVIRON)
assert done.returncode == 2 and "only its owner" in done.stderr, done
os.chmod(os.path.join(runtime, "dhagapatch"), 0o700)

# a forked child has its own, and the parent's stays
FORK = """
import os, time
time.sleep(0.01)
child = os.fork()
if not child:
    time.sleep(0.01)
    print('ready', flush=True)
    time.sleep(30)
print(child, flush=True)
time.sleep(30)
"""
words = [sys.executable, "-m", "dhagapatch", "--inspect", "-c", FORK]
parent = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=ENVIRON)
child = next(int(line) for line in (parent.stdout.readline(), parent.stdout.readline()) if line != "ready\n")
try:
    for pid in (parent.pid, child):
        assert f"process {pid}," in run("dump", str(pid))
finally:
    os.kill(child, signal.SIGKILL)
    parent.kill()
    parent.communicate()

# in one's own process, and only for the same user
import dhagapatch
from dhagapatch.inspect import server

assert server._may(socket.socketpair(socket.AF_UNIX)[0])
if os.geteuid() == 0:
    os.seteuid(12345)
    foreign = socket.socketpair(socket.AF_UNIX)[0]
    os.seteuid(0)
    assert not server._may(foreign)
dhagapatch.patch_all(inspect=os.path.join(runtime, "own"))
dhagapatch.unpatch_all()
assert not os.path.exists(os.path.join(runtime, "own"))
