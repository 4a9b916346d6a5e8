"""Where the program's `os.close` is not ours, a forked child that closes everything, as a daemon does, can wait all the same."""

import os
import subprocess
import sys

WAYS = {
    "some groups": "dhagapatch.patch('time', 'thread')",
    "without os": "dhagapatch.patch_all(disable=('os',))",
    "taken back": "dhagapatch.patch_all(); time.sleep(0.001); dhagapatch.unpatch_all()",
    "all": "dhagapatch.patch_all()",
}
PROGRAM = """
import os, resource, sys, threading, time, dhagapatch
resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}))
{patch}
time.sleep(0.001)
child = os.fork()
if child == 0:
    os.closerange(3, 4096)
    mine = [os.open(os.devnull, os.O_RDONLY) for _ in range(6)]
    if sys.argv[1] == 'taken back': dhagapatch.patch_all()
    for _ in range(2): time.sleep(0.001)
    thread = threading.Thread(target=time.sleep, args=(0.001,))
    thread.start()
    thread.join()
    for fd in mine: os.fstat(fd)
    print('waited', flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""

for way, patch in WAYS.items():
    for limit in (512, 1024):
        words = [sys.executable, "-c", PROGRAM.format(patch=patch, limit=limit), way]
        done = subprocess.run(words, capture_output=True, text=True, timeout=15, env=os.environ)
        assert (done.returncode, done.stdout) == (0, "waited\n"), (way, limit, done)

# a lock that is adopted while the caller holds it
held = """
import threading
lock = threading.RLock()
with lock:
    import dhagapatch
    dhagapatch.patch_all()
    with lock, lock:
        pass
assert lock.acquire(False)
lock.release()
"""
subprocess.run([sys.executable, "-c", held], check=True, timeout=15)
