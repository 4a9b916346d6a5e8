# run: -m dhagapatch
"""Who is killed where it waits for a lock, as deep as calls can be, leaves its queue; a release there does all or nothing."""

import sys
import threading
import time

import dhagapatch
from dhagapatch import _real
from dhagapatch.core import compiled


def at_depth(left, call):
    """Call it with about so many levels left."""
    used = [0]

    def deeper():
        try:
            deeper()
        except RecursionError:
            if used[0] == left:
                call()
            used[0] += 1
            raise

    try:
        deeper()
    except RecursionError:
        pass


for make in (threading.Lock, threading.RLock):
    lock = make()
    lock.acquire()
    for left in range(12):

        def wait(lock=lock):
            lock.acquire()
            lock.release()

        victim = dhagapatch.spawn(at_depth, left, wait)
        time.sleep(0.005)
        victim.kill()
        time.sleep(0.005)
    got = []
    other = dhagapatch.spawn(lambda lock=lock, got=got: got.append(lock.acquire(timeout=5)))
    time.sleep(0.005)
    lock.release()
    while not other.dead:
        time.sleep(0.001)
    assert got == [True], make

if compiled.speedups is not None:  # in Python the waker's calls are not looked at before
    for left in range(6):
        lock = threading.Lock()
        lock.acquire()
        said, done, got = [], [], []

        def give(lock=lock, said=said):
            try:
                lock.release()
                said.append("released")
            except RecursionError:
                said.append("not released")

        def native(left=left, give=give, done=done):
            _real.sleep(0.02)
            at_depth(left, give)
            done.append(True)

        _real.start_new_thread(native, ())
        waiter = dhagapatch.spawn(lambda lock=lock, got=got: got.append(lock.acquire(timeout=10)))
        while not done:
            time.sleep(0.002)
        time.sleep(0.02)
        assert (got == [True]) == (said == ["released"]), (left, said, got)
        lock.release()
        while not waiter.dead:
            time.sleep(0.001)
        assert got == [True]

# asyncio's C module, blocked as tests of its Python version do
sys.modules["_asyncio"] = None
seen = []
thread = threading.Thread(target=lambda: (time.sleep(0.002), seen.append(True)))
thread.start()
thread.join()
assert seen

# whose turn it is when somebody else can't wait, as deep as that, still has it
held, turns, over = threading.Lock(), [0, 0], []
held.acquire()


def take_turns(number):
    while not over:
        time.sleep(0)
        turns[number] += 1


def wait_deep():
    for left in range(16):
        at_depth(left, lambda: held.acquire(timeout=0.001))


spinning = [threading.Thread(target=take_turns, args=(number,), daemon=True) for number in range(2)]
for thread in [*spinning, threading.Thread(target=wait_deep)]:
    thread.start()
thread.join()
before = list(turns)
time.sleep(0.1)
assert all(now > then for now, then in zip(turns, before)), (turns, before)
over.append(True)
