"""How often plain Python leaves a lock held when a handler raises at the start of its block: 3.14 does, others never."""

import os
import subprocess
import sys

TRIES = 300
_SOURCE = """
import signal, threading
def stop(*_):
    raise InterruptedError
signal.signal(signal.SIGALRM, stop)
lock = threading.Lock()
def locked():
    with lock:
        lock.locked()
left_held = 0
for _ in range(TRIES):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.002)
        while True:
            locked()
    except InterruptedError:
        pass
    if lock.locked():
        left_held += 1
        lock.release()
print(left_held)
"""


def assert_no_worse(left_held: int, tries: int) -> None:
    """So many of the tries left a lock held: natively about as many do, or more."""
    if not left_held:
        return
    command = [sys.executable, "-c", _SOURCE.replace("TRIES", str(TRIES))]
    natively = int(subprocess.check_output(command, env={**os.environ, "DHAGAPATCH_CHILDREN": "0"}))
    assert natively and left_held / tries <= natively / TRIES * 1.5 + 0.1, (left_held, tries, natively, TRIES)
