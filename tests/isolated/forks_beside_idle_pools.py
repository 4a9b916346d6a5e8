"""Whoever forks is not warned of threads that are the runtime's own, and idle: natively there are none."""

import os
import subprocess
import sys

PROGRAM = """
import hashlib, os, socket, sys, tempfile, threading, time, warnings
import dhagapatch
data = bytes(16 << 20)
file = tempfile.TemporaryFile(buffering=0)
file.write(b"x")

def together(call, count=4):
    threads = [threading.Thread(target=call) for _ in range(count)]
    for one in threads: one.start()
    for one in threads: one.join()

def fork():
    pid = os.fork()
    if pid == 0: os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0

warnings.simplefilter("error")
for _ in range(20):
    for call in (
        lambda: hashlib.sha256(data).digest(), lambda: os.fsync(file), lambda: socket.getaddrinfo("localhost", 1),
        lambda: dhagapatch.offload(time.sleep, .001),
    ):
        together(call)
        fork()
assert sum(dhagapatch.stats()["offload"][name] for name in ("threads", "idle", "queued")) == 0 or sys.version_info < (3, 15)
together(lambda: hashlib.sha256(data).digest())  # they are started again
"""

# HAZARD: no watchdog in it, which is a native thread too
for speedups in ("1", "0"):
    done = subprocess.run(
        [sys.executable, "-m", "dhagapatch", "-c", PROGRAM], capture_output=True, text=True, timeout=60,
        env={**os.environ, "DHAGAPATCH_SPEEDUPS": speedups},
    )  # fmt: skip
    assert done.returncode == 0, (speedups, done.stderr)
