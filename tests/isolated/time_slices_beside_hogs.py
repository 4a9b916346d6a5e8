# run: -m dhagapatch --timeslice 0.01
"""A heartbeat beside two hogs is never more than 100 ms late, by the CPU time of the process, which no other one adds to."""

import threading
import time

from dhagapatch.testing import Watchdog

watchdog = Watchdog(15)
EVERY = 0.02
stop = False
late = []


def beat():
    while not stop:
        began, used = time.monotonic(), time.process_time()
        time.sleep(EVERY)
        # what the others took beyond the time that was asked for
        late.append(time.process_time() - used - min(EVERY, time.monotonic() - began))


def hog():
    number = 0
    while not stop:
        number += 1


def hog_in_c():
    numbers = list(range(20_000))
    while not stop:
        sum(numbers)


for second in (hog, hog_in_c):
    stop = False
    late.clear()
    threads = [threading.Thread(target=one) for one in (beat, hog, second)]
    for thread in threads:
        thread.start()
    time.sleep(1.5)
    stop = True
    for thread in threads:
        thread.join()
    assert len(late) > 10 and max(late) < 0.1, (len(late), max(late))
