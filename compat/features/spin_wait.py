"""A loop that waits for another thread without a call (`while not flag: pass`) comes to its end (time slices)."""

import threading
import time

from _runtime import answer, patch

patch(timeslice=0.005)
flag = []


def sets():
    time.sleep(0.02)
    flag.append(1)


threading.Thread(target=sets, daemon=True).start()
time.sleep(0)
while not flag:
    pass
answer(flag)
