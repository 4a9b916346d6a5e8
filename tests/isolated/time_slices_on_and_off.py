"""Time slices by argument, from another thread, by the environment of a child, and taken back; wrong values say what is right."""

import os
import subprocess
import sys
import threading
import time

import dhagapatch
from dhagapatch.green import timeslice
from dhagapatch.testing import Watchdog

watchdog = Watchdog(15)

for wrong in (-1, 0.0001, 100, "0.01", float("nan")):
    try:
        dhagapatch.patch_all(timeslice=wrong)
    except dhagapatch.DhagapatchError as error:
        assert "0.01 is a good value" in str(error)
    else:
        raise AssertionError(wrong)


def spin():
    flag = []
    threading.Thread(target=lambda: (time.sleep(0.001), flag.append(1))).start()
    for rounds in range(30_000_000):
        if flag:
            return rounds > 0
    return False


thread = threading.Thread(target=lambda: dhagapatch.patch_all(timeslice=0.005))
thread.start()
thread.join()
assert spin()
dhagapatch.unpatch_all()
assert timeslice._slices is None
dhagapatch.patch_all()
assert not spin()
dhagapatch.patch_all(timeslice=0.01, children=True)
assert spin()

program = """if True:
    import threading, time
    flag = []
    threading.Thread(target=lambda: (time.sleep(0.001), flag.append(1))).start()
    for _ in range(30_000_000):
        if flag:
            raise SystemExit(3)
"""
assert subprocess.run([sys.executable, "-c", program]).returncode == 3
dhagapatch.unpatch_all()
command = [sys.executable, "-m", "dhagapatch", "-c", program]
assert subprocess.run(command, env={**os.environ, "DHAGAPATCH_TIMESLICE": "0.005"}).returncode == 3
assert subprocess.run(command).returncode == 0
