"""Time slices by argument, from another thread, by the environment of a child, and taken back; wrong values say what is right."""

import os
import signal
import subprocess
import sys
import threading
import time

os.environ.pop("DHAGAPATCH_TIMESLICE", None)  # its children have what it says itself

import dhagapatch
from dhagapatch import _real
from dhagapatch.green import timeslice
from dhagapatch.testing import Watchdog

watchdog = Watchdog(15)
before = signal.getsignal(signal.SIGRTMAX - 5)

for wrong in (-1, 0.0001, 100, "0.01", float("nan")):
    try:
        dhagapatch.patch_all(timeslice=wrong)
    except dhagapatch.DhagapatchError as error:
        assert "0.01 is a good value" in str(error)
        assert not dhagapatch.is_patched("time.sleep")  # nothing is done by halves
    else:
        raise AssertionError(wrong)


def spin():
    flag = []
    thread = threading.Thread(target=lambda: (time.sleep(0.001), flag.append(1)))
    thread.start()
    in_time = False
    for rounds in range(10_000_000):
        if flag:
            in_time = rounds > 0
            break
    thread.join()
    return in_time


thread = threading.Thread(target=lambda: dhagapatch.patch_all(timeslice=0.005))
thread.start()
thread.join()
assert spin()
dhagapatch.unpatch_all()
assert timeslice._slices is None
dhagapatch.patch_all(timeslice=0)
assert not spin()

# from a native thread, while the main thread's hub is there and waits, and is idle: on, off, and on again
done = []
for wanted in (True, False, True):
    done.clear()
    _real.start_new_thread(lambda on: (_real.sleep(0.03), dhagapatch.patch_all(timeslice=0.005 * on), done.append(1)), (wanted,))
    while not done:
        time.sleep(0.1)
    assert spin() == wanted, wanted

dhagapatch.patch_all(timeslice=0.01, children=True)
assert spin()

program = """if True:
    import threading, time
    flag = []
    threading.Thread(target=lambda: (time.sleep(0.001), flag.append(1))).start()
    for _ in range(10_000_000):
        if flag:
            raise SystemExit(3)
"""
assert subprocess.run([sys.executable, "-c", program]).returncode == 3
dhagapatch.patch_all()  # a program's own call leaves what was asked for
assert spin()
dhagapatch.unpatch_all()
assert signal.getsignal(signal.SIGRTMAX - 5) == before
command = [sys.executable, "-m", "dhagapatch", "-c", program]
assert subprocess.run(command, env={**os.environ, "DHAGAPATCH_TIMESLICE": "0.005"}).returncode == 3
assert subprocess.run(command).returncode == 0
