"""A second patch does nothing, and says so; a further group is added to those there."""

import threading
import time

import dhagapatch

first = dhagapatch.patch("time")
assert first.replaced == ["time.sleep"], first.replaced
assert dhagapatch.is_patched("time") and not dhagapatch.is_patched("thread")
sleep = time.sleep
assert not dhagapatch.patch("time").replaced
second = dhagapatch.patch_all()
assert time.sleep is sleep and "time.sleep" not in second.replaced and "_thread.RLock" in second.replaced
third = dhagapatch.patch_all()
assert not third.replaced and not third.in_place and not third.rebound
start = time.monotonic()
threads = [threading.Thread(target=time.sleep, args=(0.2,)) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert time.monotonic() - start < 0.5
try:
    dhagapatch.patch("sokcet")
except dhagapatch.PatchError as error:
    assert "sokcet" in str(error) and "socket" in str(error)
else:
    raise AssertionError
