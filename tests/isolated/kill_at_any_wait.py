# run: -m dhagapatch
"""Dhagas killed at random, wherever they wait: no lock stays taken, nobody gets in twice, the rest go on."""

import queue
import random
import sys
import threading
import time

import dhagapatch

random.seed(3)
lock, semaphore, condition = threading.Lock(), threading.Semaphore(2), threading.Condition()
tokens = queue.SimpleQueue()
tokens.put("token")
inside = [0, 0]
worst = [0, 0]
rounds = [0]


def within(place, limit):
    inside[place] += 1
    worst[place] = max(worst[place], inside[place])
    try:
        time.sleep(random.choice((0, 0, 0.0005)))
    finally:
        inside[place] -= 1


def work():
    while True:
        with lock:
            within(0, 1)
        if lock.acquire(timeout=random.choice((0, 0.0005, 0.001))):
            lock.release()
        with semaphore:
            within(1, 2)
        with condition:
            condition.notify()
            condition.wait(0.0005)
        rounds[0] += 1


dhagas = [dhagapatch.spawn(work) for _ in range(20)]
kills = 0
until = time.monotonic() + 1.5
while time.monotonic() < until or kills <= 300 or rounds[0] <= 100:  # a slow machine takes longer; a hang, the watchdog ends
    time.sleep(0.0005)
    number = random.randrange(len(dhagas))
    if dhagas[number].dead:
        dhagas[number] = dhagapatch.spawn(work)
    else:
        dhagas[number].kill()
        kills += 1
while any(not dhaga.dead for dhaga in dhagas):
    for dhaga in dhagas:
        dhaga.kill()
    time.sleep(0.001)
assert worst == [1, 2], worst
assert lock.acquire(False) and semaphore.acquire(False) and semaphore.acquire(False) and condition.acquire(False)

# before its first wait, and by itself
ended = []


def sleeper():
    try:
        time.sleep(60)
    finally:
        ended.append("killed")


dhagapatch.spawn(sleeper).kill()


def kills_itself():
    dhagapatch.current_dhaga().kill()
    sleeper()


dhagapatch.spawn(kills_itself)
thread = threading.Thread(target=sleeper)
thread.start()
time.sleep(0)
next(iter(dhaga for dhaga in dhagapatch.get_hub().dhagas if dhaga.ident == thread.ident)).kill()
thread.join(5)
time.sleep(0.01)
assert ended == ["killed"] * 3 and not dhagapatch.get_hub().dhagas, ended

# taking a free lock is no wait, though now and then others have their turn there
taken = []
free = threading.Lock()


def takes_free_locks():
    for _ in range(5000):
        with free:
            taken.append(1)
    time.sleep(60)
    taken.append("not killed")


dhaga = dhagapatch.spawn(takes_free_locks)
while not taken:
    time.sleep(0)
assert len(taken) < 5000, "nobody else had a turn"
dhaga.kill()
while not dhaga.dead:
    time.sleep(0.001)
assert taken == [1] * 5000, len(taken)

# one that is being killed is not asked what it handles
dhagas = [dhagapatch.spawn(time.sleep, 60) for _ in range(3)]
time.sleep(0.001)
dhagas[1].kill()
told = sys._current_exceptions()
assert dhagas[0].ident in told and dhagas[1].ident not in told and dhagas[2].ident in told, told
