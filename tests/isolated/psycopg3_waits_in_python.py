"""psycopg (3) waits by its function in Python, where it took the one in C; one that the program chose stays."""

import importlib
import socket
import threading
import time

from shared.packages import put_in_place

import dhagapatch

MODULE = """
import select

wait_c = {}.get  # it stands for a function in C

def wait_poll(generator, fileno, interval=0.0, timeout=None):
    poll = select.poll()
    poll.register(fileno, next(generator))
    poll.poll()
    return "in Python"

def wait_select(generator, fileno, interval=0.0, timeout=None):
    return "chosen"

wait = wait_c
"""
put_in_place("psycopg", waiting=MODULE)

dhagapatch.patch_all()
module = importlib.import_module("psycopg.waiting")
assert dhagapatch.is_patched("psycopg.waiting.wait")
ours, theirs = socket.socketpair()
ticks = []


def tick():
    for _ in range(5):
        time.sleep(0.005)
        ticks.append(1)
    theirs.send(b"x")


threading.Thread(target=tick).start()
assert module.wait(iter([1]), ours.fileno(), interval=0.1) == "in Python"
assert len(ticks) == 5, "the others did not run while it waited"

dhagapatch.unpatch_all()
assert module.wait is module.wait_c
dhagapatch.patch_all()
assert module.wait(iter([1]), ours.fileno()) == "in Python", "it was there before the patch"
dhagapatch.unpatch_all()
module.wait = module.wait_select
dhagapatch.patch_all()
assert module.wait(iter([1]), -1) == "chosen"
assert not dhagapatch.is_patched("psycopg.waiting.wait")
dhagapatch.unpatch_all()
dhagapatch.patch_all(disable=["packages"])
module.wait = module.wait_c
assert module.wait is module.wait_c
