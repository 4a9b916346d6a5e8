"""Locks that native threads hold or wait for at the moment of the patch pass on to dhagas, and none is lost."""

import _thread
import threading
import time

plain = threading.Lock()
reentrant = threading.RLock()
condition = threading.Condition()
event = threading.Event()
semaphore = threading.Semaphore(0)
order = []
held = threading.Barrier(3)
let_go = _thread.allocate_lock()
let_go.acquire()


def holder():
    with plain, reentrant:
        held.wait()
        let_go.acquire()
        order.append("native thread lets go")
    with condition:
        condition.notify_all()
    semaphore.release()
    event.set()


def waiter():
    with condition:
        held.wait()
        order.append(condition.wait(10))
    order.append("native waiter")


native = [threading.Thread(target=holder), threading.Thread(target=waiter)]
for thread in native:
    thread.start()
held.wait()

import dhagapatch

report = dhagapatch.patch_all()


def dhaga():
    with plain:
        order.append("dhaga has the plain one")
    with reentrant:
        order.append("dhaga has the reentrant one")
    assert event.wait(10) and semaphore.acquire(timeout=10)


threads = [threading.Thread(target=dhaga)]
threads[0].start()
time.sleep(0.05)
assert order == [], order
let_go.release()
for thread in threads + native:
    thread.join(10)
    assert not thread.is_alive(), (thread, order)
assert order[0] == "native thread lets go" and True in order and "native waiter" in order, order
assert "dhaga has the plain one" in order and "dhaga has the reentrant one" in order
