"""gevent or eventlet came first: the import works, the patch is refused, and nothing is changed; a second copy likewise."""

import os
import subprocess
import sys

AFTER = """
import socket, sys, threading, time
import dhagapatch
names = [(time, "sleep"), (threading, "Thread"), (threading, "RLock"), (socket, "socket")]
before = [getattr(module, name) for module, name in names]
try:
    dhagapatch.patch_all()
except dhagapatch.PatchConflictError as error:
    print(error)
else:
    raise AssertionError
assert [getattr(module, name) for module, name in names] == before
assert not dhagapatch.is_patched("time.sleep")
{then}
"""
WORKS = """
done = []
thread = threading.Thread(target=lambda: (time.sleep(0.01), done.append(1)))
thread.start()
thread.join()
assert done
"""
COPY = """
import dhagapatch, sys
dhagapatch.patch_all()
for name in [name for name in sys.modules if name.partition(".")[0] == "dhagapatch" and name != "dhagapatch._speedups"]:
    del sys.modules[name]
"""
FIRST = {
    "gevent": "from gevent import monkey; monkey.patch_all()",
    "eventlet": "import eventlet; eventlet.monkey_patch()",
    "another copy of dhagapatch": COPY,
}
for name, first in FIRST.items():
    for speedups in "10":
        if "copy" in name:
            if speedups == "1":
                continue  # the compiled part knows the classes of one copy
            then = ""
        else:
            then = WORKS
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", first + AFTER.format(then=then)], capture_output=True, text=True, timeout=30,
            env={**os.environ, "DHAGAPATCH_SPEEDUPS": speedups},
        )  # fmt: skip
        assert done.returncode == 0, (name, speedups, done.stderr)
        assert done.stdout.startswith(f"{name} has patched") and "Take out" in done.stdout, done.stdout
