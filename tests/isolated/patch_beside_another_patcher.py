"""gevent or eventlet at work already: an error that says what to do, and nothing is changed."""

import sys
import time
import types

import dhagapatch

sleep = id(time.sleep)  # a name that held the function would be rebound
for name, module, state in (("gevent", "monkey", "saved"), ("eventlet", "patcher", "already_patched")):
    package = types.ModuleType(name)
    part = types.ModuleType(f"{name}.{module}")
    setattr(part, state, {"time": {"sleep": 1}})
    sys.modules[name], sys.modules[f"{name}.{module}"] = package, part
    try:
        dhagapatch.patch_all()
    except dhagapatch.PatchConflictError as error:
        assert name in str(error) and "Take out" in str(error), error
    else:
        raise AssertionError
    assert id(time.sleep) == sleep and not dhagapatch.is_patched("time.sleep")
    del sys.modules[name], sys.modules[f"{name}.{module}"]
dhagapatch.patch_all()
assert id(time.sleep) != sleep
