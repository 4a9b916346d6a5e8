# run: -m dhagapatch
"""Dhagas that are never idle leave native threads their share, so that look-ups and watchdogs go on."""

import queue
import socket
import threading
import time

from dhagapatch import _real

NAPS, NAP = 10, 0.02  # seconds
done = []


def naps():
    begun = _real.monotonic()
    for _ in range(NAPS):
        _real.sleep(NAP)
    done.append(_real.monotonic() - begun)


def switch():
    time.sleep(0)


there, back = queue.Queue(), queue.Queue()


def answer():
    while (item := there.get()) is not None:
        back.put(item)


def ask():
    there.put(1)
    back.get()


lock = threading.Lock()


def take():
    with lock:
        pass


threading.Thread(target=answer, daemon=True).start()
time.sleep(0.001)
for busy in (switch, ask, take):
    done.clear()
    _real.start_new_thread(naps, ())
    until = time.monotonic() + 8
    while not done and time.monotonic() < until:
        busy()
    assert done and done[0] < 2, f"starved while the dhagas were busy with {busy.__name__}: {done}"

looked = []
thread = threading.Thread(target=lambda: looked.append(socket.getaddrinfo("localhost", 1)))
thread.start()
until = time.monotonic() + 8
while thread.is_alive() and time.monotonic() < until:
    switch()
assert looked
