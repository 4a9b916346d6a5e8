"""Finalizers may wait: in the hub, one inside the other, and between the steps of another wait of the same dhaga."""

import asyncio
import gc
import socket
import sys
import threading
import time

import dhagapatch
from dhagapatch.core.deadlines import Deadlines

dhagapatch.patch_all()

lock = threading.Lock()
finalized, held, failed = [], [], []
threading.excepthook = sys.unraisablehook = failed.append


class Waits:
    def __del__(self):
        with lock:
            assert not held, held
            finalized.append(threading.current_thread().name)


def hold():
    with lock:
        held.append(threading.current_thread())
        time.sleep(0.1)
        held.clear()


# in the hub: the cycles become garbage there, and one finalizer waits inside the other
holder = threading.Thread(target=hold)
holder.start()
time.sleep(0)
hub = dhagapatch.get_hub()
ran = threading.Event()


def drop_all():
    for _ in range(5):
        Waits()
    nested = Waits()
    hub.asyncio_loop.call_soon(lambda nested=nested: None)
    ran.set()


hub.asyncio_loop.call_soon(drop_all)
assert ran.wait(5)
holder.join()
until = time.monotonic() + 5
while len(finalized) < 6 and time.monotonic() < until:
    time.sleep(0.01)
assert len(finalized) == 6, finalized

# between the steps of a wait: the collector may run wherever something is allocated
arm = Deadlines.arm


def arm_and_collect(self, sleeper, when):
    arm(self, sleeper, when)
    if not busy and threading.current_thread() not in held:
        busy.append(True)
        cycle = Waits()
        cycle.me = cycle
        del cycle
        gc.collect()
        busy.clear()


busy = []
Deadlines.arm = arm_and_collect
ended = []


def sleeper():
    time.sleep(0.05)
    ended.append(threading.Event().wait(0.05))


holders = [threading.Thread(target=hold) for _ in range(2)]
sleepers = [threading.Thread(target=sleeper) for _ in range(3)]
for thread in holders + sleepers:
    thread.start()
for thread in holders + sleepers:
    thread.join(5)
    assert not thread.is_alive(), thread
assert ended == [False] * 3
assert asyncio.run(asyncio.sleep(0, "loop")) == "loop"
Deadlines.arm = arm

# in the hub, inside of a poll: what it has found, and has not passed on, is what the holder of the lock waits for
left, right = socket.socketpair()
poller = dhagapatch.get_hub().netpoll.poller
edges = poller.edges
received = []


def receive():
    with lock:
        received.append(left.recv(1))


def edges_and_collect(timeout):
    found = edges(timeout)
    if any(fd == left.fileno() for fd, _ in found):
        poller.edges = edges
        Waits()
    return found


holder = threading.Thread(target=receive)
holder.start()
time.sleep(0.01)
poller.edges = edges_and_collect
right.send(b"x")
holder.join(5)
assert received == [b"x"], received
assert not failed, failed
