"""Finalizers that wait come at every step of every other wait, also of the scheduler's own: nobody is lost.

The collector is made to run whenever an object is made; each thread leaves cycles behind, whose finalizers take a lock or sleep.
"""

import gc
import queue
import socket
import subprocess
import threading
import time

import dhagapatch

ROUNDS = 300
dhagapatch.patch_all()

lock = threading.RLock()
finalized = [0, 0]
made = [0, 0]


class Takes:
    def __init__(self):
        self.me = self
        made[0] += 1

    def __del__(self):
        with lock:
            finalized[0] += 1


class Sleeps:
    def __init__(self):
        self.me = self
        made[1] += 1

    def __del__(self):
        time.sleep(0.0001)
        finalized[1] += 1


def holds(number):
    with lock:
        time.sleep(0)


def sleeps(number):
    time.sleep(0.0002 if number % 2 else 0)


def times_out(number):
    with condition:
        condition.wait(0.0002)


def gets(number):
    items.put(number)
    items.get()


def receives(number):
    # the holder waits for what the scheduler's poll reports
    with lock:
        left.send(b"x")
        right.recv(1)


def receives_later(number):
    with lock:
        near.send(b"x")  # to another process, which sends it back
        near.recv(1)


def starts(number):
    thread = threading.Thread(target=time.sleep, args=(0,))
    thread.start()
    thread.join()


condition, items = threading.Condition(), queue.SimpleQueue()
left, right = socket.socketpair()
near, far = socket.socketpair()
echo = subprocess.Popen(["cat"], stdin=far, stdout=far)
far.close()


def repeat(step):
    for number in range(ROUNDS):
        Takes() if number % 3 else Sleeps()
        step(number)


steps = (holds, sleeps, times_out, gets, receives, receives_later, starts)
gc.collect()
gc.freeze()
gc.set_threshold(1, 1, 1)
try:
    for together in (*((step, holds) for step in steps), steps):
        threads = [threading.Thread(target=repeat, args=(step,)) for step in together]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
finally:
    gc.set_threshold(700, 10, 10)
gc.collect()
assert finalized == made, (finalized, made)
near.close()
echo.wait()
