"""An interpreter that runs without the GIL is refused, with what to do; nothing is changed."""

import sys
import time

import dhagapatch

sleep = id(time.sleep)  # a name that held the function would be rebound
real = getattr(sys, "_is_gil_enabled", None)
sys._is_gil_enabled = lambda: False
try:
    dhagapatch.patch_all()
except dhagapatch.DhagapatchError as error:
    assert "PYTHON_GIL=1" in str(error), error
else:
    raise AssertionError
assert id(time.sleep) == sleep and not dhagapatch.is_patched("time.sleep")
sys._is_gil_enabled = lambda: True
dhagapatch.patch_all()
assert id(time.sleep) != sleep
