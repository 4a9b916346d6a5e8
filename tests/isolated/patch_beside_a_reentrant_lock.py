"""An RLock that native threads know by its native name and dhagas by its counterpart, at the moments that are hard."""

import gc
import signal
import sys
import threading
import time

real_sleep = time.sleep
lock = threading.RLock()
condition = threading.Condition(lock)
inside, seen = [], []
holding, waiting = threading.Event(), threading.Event()
leave, take, held, give = [], [], [], []


def holder():
    with lock:
        inside.append("native")
        holding.set()
        while not leave:
            real_sleep(0.001)
        inside.remove("native")


def waiter():
    with lock:  # which is left through the native object
        waiting.set()
        seen.append(condition.wait(10))
    seen.append("left")


def taker(native_lock):
    while not take:
        real_sleep(0.001)
    with native_lock:
        condition.notify_all()
        held.append(True)
        while not give:
            real_sleep(0.001)


native = [threading.Thread(target=waiter)]
native[0].start()
waiting.wait()
with lock:
    pass  # it waits
native += [threading.Thread(target=holder), threading.Thread(target=taker, args=(lock,))]
native[1].start()
native[2].start()
holding.wait()

import dhagapatch

dhagapatch.patch_all()


# a handler and a finalizer that come while their thread waits for the native one wait for it too
class Cycle:
    def __init__(self):
        self.me = self

    def __del__(self):
        with lock:
            seen.append(("finalizer", *inside))


def handler(*_):
    with lock:
        seen.append(("handler", *inside))


signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.05)
assert not lock.acquire(False) and not lock.acquire(timeout=0.01)
Cycle()
threading.Timer(0.1, gc.collect).start()
threading.Timer(0.2, leave.append, (True,)).start()
with lock, lock:
    seen.append(("main", *inside))
    assert "count=2" in repr(lock), lock
until = time.monotonic() + 5
while ("finalizer",) not in seen and time.monotonic() < until:
    time.sleep(0.001)
assert ("handler",) in seen and ("finalizer",) in seen and ("main",) in seen, seen
assert not [one for one in seen if "native" in one], seen
native[1].join(5)

# a native thread that waited in the condition when the patch came leaves by the native lock, which is free then
with condition:
    condition.notify_all()
native[0].join(5)
assert seen[-2:] == [True, "left"], seen
for _ in range(2):
    assert lock.acquire(timeout=5) and lock._is_owned()
lock.release()
lock.release()

# a block's end and a kill that both come while a dhaga takes the lock back are due afterwards, and neither is lost
log = []


def victim():
    try:
        with condition:
            with dhagapatch.Timeout(0.1):
                condition.wait()
            log.append("the lock is mine" if lock._is_owned() and not held[1:] else "not mine")
            time.sleep(0.01)
            log.append("not killed")
    except BaseException as error:
        log.append(type(error).__name__)
        raise


dhaga = dhagapatch.spawn(victim)
time.sleep(0.02)
take.append(True)
while not held:
    time.sleep(0.001)
time.sleep(0.3)  # the block has ended
dhaga.kill()
give.append(True)
native[2].join(5)
until = time.monotonic() + 5
while not dhaga.dead and time.monotonic() < until:
    time.sleep(0.001)
assert log == ["the lock is mine", "DhagaExit"], log
assert lock.acquire(timeout=5)
lock.release()
assert sys.exc_info() == (None, None, None)
dhagapatch.unpatch_all()
assert lock.acquire(timeout=5)
