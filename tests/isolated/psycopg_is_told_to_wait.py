"""psycopg2 gets a wait callback, if nobody set one, whether it comes before or after the patch; unpatch_all takes it back."""

import importlib
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

import dhagapatch

MODULE = """
_callback = None

def set_wait_callback(callback):
    global _callback
    _callback = callback

def get_wait_callback():
    return _callback
"""


class Connection:
    """As psycopg2's: `poll` says what it waits for; room to write first, then an answer."""

    OperationalError = ConnectionError

    def __init__(self, ours, states):
        self._ours, self._states = ours, states

    def fileno(self):
        return self._ours.fileno()

    def poll(self):
        state = self._states.pop(0)
        if state == 0:
            self._ours.recv(1)
        return state


folder = Path(tempfile.mkdtemp())
(folder / "psycopg2").mkdir()
(folder / "psycopg2" / "__init__.py").touch()
(folder / "psycopg2" / "_psycopg.py").write_text(MODULE)
sys.path.insert(0, str(folder))

dhagapatch.patch_all()
module = importlib.import_module("psycopg2._psycopg")
assert dhagapatch.is_patched("psycopg2._psycopg.set_wait_callback")
wait = module.get_wait_callback()

ours, theirs = socket.socketpair()
ours.setblocking(False)  # as libpq does
threading.Thread(target=lambda: (time.sleep(0.1), theirs.send(b"x"))).start()
ticks = []
ticker = threading.Thread(target=lambda: [(time.sleep(0.01), ticks.append(1)) for _ in range(5)])
ticker.start()
wait(Connection(ours, [2, 1, 0]))
assert len(ticks) == 5, "the others did not run while it waited"
try:
    wait(Connection(ours, [7]))
except ConnectionError as error:
    assert str(error) == "bad state from poll: 7"
else:
    raise AssertionError

dhagapatch.unpatch_all()
assert module.get_wait_callback() is None
dhagapatch.patch_all(disable=["packages"])
assert module.get_wait_callback() is None
dhagapatch.unpatch_all()
dhagapatch.patch_all()
assert module.get_wait_callback() is wait, "it was there before the patch"
module.set_wait_callback(print)
dhagapatch.unpatch_all()
assert module.get_wait_callback() is print, "what the program set since is its own"
dhagapatch.patch_all()
assert module.get_wait_callback() is print, "the program has its own"
assert not dhagapatch.is_patched("psycopg2._psycopg.set_wait_callback")
