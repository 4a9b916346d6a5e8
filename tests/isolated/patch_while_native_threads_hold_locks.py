"""Locks that native threads hold or wait for at the moment of the patch pass on to dhagas, and none is lost."""

import _thread
import sys
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

# native threads that go on with the native objects, by names of their own, and dhagas exclude each other
inside, most, stop, rounds = [0], [0], [], []


def visit():
    inside[0] += 1
    most[0] = max(most[0], inside[0])
    for _ in range(20):
        str(inside)  # a call: others may run
    inside[0] -= 1


def native_user(lock):
    with lock:
        begun.wait()
    count = 0
    while not stop:
        with lock:
            visit()
        time.sleep(0.0002)  # or the others would hardly ever find it free
        count += 1
    rounds.append(count)


def dhaga_user(name):
    for _ in range(40):
        with holders[name]:
            visit()


dhagapatch.unpatch_all()
sys.setswitchinterval(1e-5)
for make in (threading.Lock, threading.RLock, threading.Condition, lambda: threading.BoundedSemaphore(1)):
    holders = {"lock": make()}
    stop.clear()
    begun = threading.Event()
    native = [threading.Thread(target=native_user, args=(holders["lock"],)) for _ in range(2)]
    for thread in native:
        thread.start()
    begun.set()
    time.sleep(0.02)
    dhagapatch.patch_all()
    threads = [threading.Thread(target=dhaga_user, args=("lock",)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive(), (make, thread)
    stop.append(True)
    for thread in native:
        thread.join(5)
        assert not thread.is_alive(), (make, thread)
    assert most == [1], (make, most)
    dhagapatch.unpatch_all()
