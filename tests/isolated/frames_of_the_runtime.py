"""The runtime's own threads and frames are not shown: `sys._current_frames`, what a finalizer raises, what pytest leaves out."""

import io
import os
import socket
import subprocess
import sys
import threading
import time

import dhagapatch

dhagapatch.patch_all(stall=5.0, track_locks=True)  # which has the watcher run
woken = threading.Event()
threads = [threading.Thread(target=woken.wait) for _ in range(2)]
for thread in threads:
    thread.start()
time.sleep(0.01)
assert sys._current_frames().keys() == {thread.ident for thread in threading.enumerate()}, sys._current_frames()
woken.set()

left, right = socket.socketpair()
left.settimeout(0.01)


class Waits:
    def __del__(self):
        left.recv(1)


sys.stderr = shown = io.StringIO()
Waits()
sys.stderr = sys.__stderr__
assert "TimeoutError" in shown.getvalue() and "left.recv(1)" in shown.getvalue(), shown.getvalue()
assert "dhagapatch" not in shown.getvalue(), shown.getvalue()

hidden = [name for name, module in sys.modules.items() if name.startswith("dhagapatch.green.") and module.__tracebackhide__]
assert "dhagapatch.green.socket" in hidden and "dhagapatch.green.attempts" in hidden, hidden

FRAMES = """
import dhagapatch, socket, traceback
dhagapatch.patch_all()
left, right = socket.socketpair()
left.settimeout(0.01)
try:
    left.recv(1)
except TimeoutError:
    traceback.print_exc()
"""
for wanted in ("0", "1"):
    environ = {"DHAGAPATCH_FRAMES": wanted, "DHAGAPATCH_SPEEDUPS": "0"}
    command = [sys.executable, "-c", FRAMES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env={**os.environ, **environ})
    assert "TimeoutError" in done.stderr and ("attempts.py" in done.stderr) == (wanted == "1"), (wanted, done.stderr)
