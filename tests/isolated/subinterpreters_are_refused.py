"""A sub-interpreter is refused with a clear error, before and after the main one is patched, and changes nothing in that one."""

import os
import socket
import tempfile
import threading
import time

import dhagapatch

try:
    import _interpreters

    def run(source, isolated):
        interpreter = _interpreters.create("isolated" if isolated else "legacy")
        try:
            failure = _interpreters.exec(interpreter, source)
            assert failure is None, failure
        finally:
            _interpreters.destroy(interpreter)
except ImportError:
    import _xxsubinterpreters

    def run(source, isolated):
        interpreter = _xxsubinterpreters.create(isolated=isolated)
        try:
            _xxsubinterpreters.run_string(interpreter, source)
        finally:
            _xxsubinterpreters.destroy(interpreter)


IMPORTS = """
import os, sys, threading, time
before = time.sleep, threading.Lock, sys.excepthook, sorted(os.environ.items())
for name in ("dhagapatch", "dhagapatch.core.hub", "dhagapatch"):
    try:
        __import__(name)
    except ImportError as error:
        assert "main interpreter" in str(error) and "mod_wsgi" in str(error), error
    else:
        raise AssertionError("it was imported")
assert before == (time.sleep, threading.Lock, sys.excepthook, sorted(os.environ.items()))
assert "greenlet" not in sys.modules and "dhagapatch.core" not in sys.modules
"""

DOES_WITHOUT = """
import os, socket, sys, threading, time
assert "built-in" in repr(time.sleep) and "dhagapatch" not in sys.modules
seen = []
def work():
    time.sleep(0.001)
    seen.append(1)
thread = threading.Thread(target=work)
thread.start()
thread.join()
assert seen == [1]
left, right = socket.socketpair()
right.settimeout(5)
left.send(b"x")
assert right.recv(1) == b"x"
lock = threading.Lock()
with lock:
    assert not lock.acquire(timeout=0.001)
open({told!r}, "a").write("x")
"""


def use():
    """Locks, threads and sockets of the main interpreter."""
    kept = []
    lock = threading.RLock()
    left, right = socket.socketpair()

    def work():
        with lock:
            time.sleep(0.001)
            kept.append(right.recv(1))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    left.send(b"abc")
    for thread in threads:
        thread.join()
    assert sorted(kept) == [b"a", b"b", b"c"], kept
    native = []
    elsewhere = dhagapatch.original("_thread", "start_new_thread")
    elsewhere(lambda: (time.sleep(0.001), native.append(1)), ())
    while not native:
        time.sleep(0.001)


def refused():
    for isolated in (False, True):
        run(IMPORTS, isolated)
        with tempfile.TemporaryDirectory() as folder:
            told = os.path.join(folder, "told")
            run(DOES_WITHOUT.replace("{told!r}", repr(told)), False)
            assert os.path.exists(told)


refused()
dhagapatch.patch_all()
refused()
use()
refused()
thread = threading.Thread(target=refused)  # from a dhaga
thread.start()
thread.join()
done = []
dhagapatch.original("_thread", "start_new_thread")(lambda: (refused(), done.append(1)), ())
while not done:
    time.sleep(0.001)
use()
dhagapatch.unpatch_all()
refused()
use()
