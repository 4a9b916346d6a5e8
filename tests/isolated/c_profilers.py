# run: -m dhagapatch
"""A profiler in C, whose object can't be called from Python: code runs on under it, and its thread keeps it over waits."""

import ctypes
import sys
import threading
import time

events = []
_callback = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.py_object, ctypes.c_int, ctypes.c_void_p)


@_callback
def count(profiler, frame, event, argument):
    events.append(event)
    return 0


class State:
    pass


set_profile = ctypes.pythonapi.PyEval_SetProfile
set_profile.argtypes, set_profile.restype = (ctypes.c_void_p, ctypes.py_object), None
state = State()
set_profile(ctypes.cast(count, ctypes.c_void_p), state)
time.sleep(0.001)
thread = threading.Thread(target=time.sleep, args=(0.001,))
thread.start()
thread.join()
counted = len(events)


def work():
    return 1


assert work() == 1 and sys.getprofile() is state and len(events) > counted

# what another thread does while this one waits is not told
counted = len(events)
thread = threading.Thread(target=lambda: [work() for _ in range(1000)])
thread.start()
thread.join()
assert len(events) - counted < 1000, len(events) - counted
sys.setprofile(None)
assert sys.getprofile() is None
