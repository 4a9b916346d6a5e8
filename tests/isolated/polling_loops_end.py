# run: -m dhagapatch
"""Loops that ask a lock, an event, a queue or a thread again and again, or run asyncio over a selector that never waits,
let those run for whom they wait."""

import asyncio
import queue
import selectors
import signal
import threading
import time

from dhagapatch.testing import Watchdog

watchdog = Watchdog(10)


def start(function):
    thread = threading.Thread(target=function)
    thread.start()
    return thread


fifo = queue.Queue()
fifo.put(1)
start(fifo.get)
while not fifo.empty():
    pass

lock = threading.Lock()
for look in (lambda: not lock.locked(), lambda: lock.acquire(False)):
    lock.acquire()
    thread = start(lambda: (time.sleep(0.01), lock.release()))
    while not look():
        pass
    thread.join()

simple = queue.SimpleQueue()
start(lambda: simple.put(1))
while simple.empty():
    pass
start(lambda: simple.put(2))
while simple.qsize() < 2:
    pass
simple.get(), simple.get()
start(lambda: simple.put(3))
while True:
    try:
        simple.get_nowait()
        break
    except queue.Empty:
        pass

thread = start(lambda: time.sleep(0.01))
while thread.is_alive():
    pass

for lock in (threading.Lock(), threading.RLock(), threading.Condition(), threading.Semaphore()):
    flag = []
    start(lambda: (time.sleep(0.01), flag.append(1)))  # noqa: B023
    while not flag:
        with lock:
            pass

event = threading.Event()
start(lambda: (time.sleep(0.01), event.set()))
while not event.is_set():
    pass
start(lambda: (time.sleep(0.01), event.clear()))
while event.is_set():
    pass


class NeverWaits(selectors.SelectSelector):
    def select(self, timeout=None):
        return super().select(0) if flag else []


async def until_set():
    while not event.is_set.__self__._flag:  # not a look
        await asyncio.sleep(0)


flag = []
loop = asyncio.SelectorEventLoop(NeverWaits())
start(lambda: (time.sleep(0.01), event.set()))
loop.run_until_complete(until_set())
loop.run_until_complete(loop.run_in_executor(None, flag.append, 1))
loop.run_until_complete(loop.shutdown_default_executor())
loop.close()

# a signal that comes in another dhaga's turn is handled in the loop, and may end it
signal.signal(signal.SIGUSR1, lambda *_: flag.append(1))
flag = []
start(lambda: (time.sleep(0.01), signal.raise_signal(signal.SIGUSR1)))
while not flag:
    with lock:
        pass


def leave(*_):
    raise InterruptedError


signal.signal(signal.SIGUSR1, leave)
lock = threading.Lock()
start(lambda: (time.sleep(0.01), signal.raise_signal(signal.SIGUSR1)))
try:
    while True:
        with lock:
            pass
except InterruptedError:
    assert not lock.locked()
watchdog.stop()
