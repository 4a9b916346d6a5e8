# run: -m dhagapatch
"""Whatever a thread's function is a method of: nothing is asked of it, nothing is changed in it."""

import _thread
import threading
from collections import deque

ended = threading.Event()


class Strict(dict):
    def __getattr__(self, name):
        return self[name]  # KeyError

    def run(self):
        ended.set()


class Own:
    def __init__(self):
        self._started = threading.Event()

    def run(self):
        self._started.set()


_thread.start_new_thread(Strict().run, ())
assert ended.wait(5)
own = Own()
_thread.start_new_thread(own.run, ())
assert own._started.wait(5) and type(own._started._cond._waiters) is deque

# many may wait for a thread's start, too
late = threading.Thread(target=int)
waiters = [threading.Thread(target=late._started.wait) for _ in range(5)]
for one in waiters:
    one.start()
late.start()
for one in (*waiters, late):
    one.join(5)
    assert not one.is_alive()
