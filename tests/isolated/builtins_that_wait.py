# run: -m dhagapatch
"""A program exchanges built-in functions for ones that wait: the runtime does not call them."""

import builtins
import queue
import selectors
import socket
import subprocess
import sys
import threading
import time

import dhagapatch

NAMES = ("len", "isinstance", "hasattr", "getattr", "min", "max", "any", "all", "next", "iter", "id", "sum", "sorted", "callable")
real = {name: getattr(builtins, name) for name in NAMES}
lock = threading.RLock()
callers = set()


def exchanged(function):
    def waits(*args, **kwargs):
        frame = sys._getframe(1)
        if frame.f_globals.get("__name__", "").startswith("dhagapatch"):
            callers.add(f"{function.__name__} in {frame.f_code.co_qualname} of {frame.f_globals['__name__']}")
        with lock:
            return function(*args, **kwargs)

    return waits


def use(number):
    for _ in range(300):  # of which some come through at once, and some take turns
        with lock:
            assert len("abc") == 3
    time.sleep(0.001)
    items.put(number)
    with condition:
        condition.notify()
        condition.wait(0.001)
    ours, theirs = socket.socketpair()
    with ours, theirs, selectors.DefaultSelector() as selector:
        selector.register(theirs, selectors.EVENT_READ)
        threading.Timer(0.005, ours.sendall, (b"x",)).start()
        assert selector.select(5)
        theirs.settimeout(5)
        assert theirs.recv(1) == b"x"
    if number == 0:
        assert subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True, timeout=10).stdout == b"1\n"
    with dhagapatch.Timeout(5):
        dhagapatch.offload(time.sleep, 0.001)


items, condition = queue.Queue(), threading.Condition()
for name in NAMES:
    setattr(builtins, name, exchanged(real[name]))
try:
    threads = [threading.Thread(target=use, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    got = sorted(items.get(timeout=5) for _ in range(10))
    text = str(dhagapatch.dump())
finally:
    for name in NAMES:
        setattr(builtins, name, real[name])
assert got == list(range(10)), got
assert "MainThread" in text
assert not callers, "\n".join(sorted(callers))
real_open, green_open = dhagapatch.original("builtins", "open"), open
assert real_open is not green_open and dhagapatch._real.BUILTINS["open"] is real_open, "the patch exchanged the runtime's own"
