"""Threads that wait for each other for ever are reported, with their names."""

import threading
import time

from _runtime import answer, patch

patch()
a, b = threading.RLock(), threading.RLock()


def take(first, second):
    with first:
        time.sleep(0.05)
        with second:
            pass


threads = [threading.Thread(target=take, args=pair, name=name) for pair, name in (((a, b), "Ada"), ((b, a), "Bob"))]
for thread in threads:
    thread.start()
try:
    for thread in threads:
        thread.join()
except BaseException as error:
    answer("Ada" in str(error) and "Bob" in str(error))
answer(False)
