"""What local variables of functions under way hold is exchanged with the rest, and comes back: in the caller's frame and those
below it, in native threads, generators, coroutines, and greenlets."""

import _thread
import asyncio
import multiprocessing
import os
import queue
import select
import subprocess
import sys

import threading
import time

from greenlet import greenlet

import dhagapatch
from dhagapatch import _real


class Items(queue.SimpleQueue):
    pass


def is_green(thing):
    return "__slots__" in vars(type(thing))  # as no class of the interpreter's has


def made():
    """One of each kind, by the name of its class."""
    return threading.Lock(), threading.RLock(), queue.SimpleQueue(), threading.local(), select.poll(), select.epoll()


def suspended(told):
    lock, *rest = made()
    yield
    told.append(all(is_green(one) for one in (lock, *rest)))
    yield


async def waiting(told, future):
    lock = threading.Lock()
    await future
    told.append(type(lock) is not _real.LockType)


def switching(told):
    lock = threading.Lock()
    MAIN.switch()
    told.append(type(lock) is not _real.LockType)


def natively(told, go):
    lock, sleep = threading.Lock(), time.sleep
    told.append("begun")
    while not go:
        _real.sleep(0.001)
    told.append((type(lock) is not _real.LockType, sleep is not _real.sleep, sum(range(100))))
    lock.acquire()
    lock.release()
    told.append("ended")


MAIN = greenlet.getcurrent()


def below(patch):
    """The frame that patches is not this one."""
    lock, acquire = threading.Lock(), None
    acquire = lock.acquire
    before = id(lock)
    patch()
    assert id(lock) != before and acquire.__self__ is lock, (lock, acquire)
    threading.Timer(0.05, lock.release).start()
    assert acquire() and lock.acquire(timeout=5)
    lock.release()


def each_of_them(unbound=None):
    lock, rlock, simple, local, poll, epoll = made()
    sleep, allocate, fork, read = time.sleep, _thread.allocate_lock, os.fork, os.read
    kind, items, both = _thread.RLock, Items(), (lock, (sleep, 1))
    semaphore, shared = multiprocessing.RLock()._semlock, threading.Lock()
    before = lock, rlock, simple, local, poll, epoll, sleep, allocate, fork, read, kind, items, semaphore
    ids = [id(one) for one in before]
    del before
    if unbound:
        later = unbound
    simple.put(1)
    items.put(1)
    items.tag = "mine"
    local.name = "main"
    semaphore.acquire()
    semaphore.acquire()
    report = dhagapatch.patch_all()
    here = lock, rlock, simple, local, poll, epoll, sleep, allocate, fork, read, kind, items, semaphore
    assert not [number for number, one in enumerate(here) if id(one) in ids], here
    assert both[0] is lock and both[1][0] is sleep, both
    assert type(items) is Items and isinstance(items, queue.SimpleQueue) and items.tag == "mine", items
    assert (simple.get(timeout=5), items.get(timeout=5), local.name) == (1, 1, "main")
    names = {one.name for one in report.rebound if one.holder == "a variable of each_of_them()"}
    assert {"sleep", "allocate", "fork", "read", "kind"} <= names, names
    assert not report.left, report
    assert (lambda: shared)() is shared and is_green(shared)
    try:
        later  # noqa: B018 - unbound as before
    except UnboundLocalError:
        pass
    else:
        raise AssertionError("it was bound")

    lock.acquire()
    threading.Timer(0.05, lock.release).start()
    assert lock.acquire(timeout=5)
    got = []
    thread = threading.Thread(target=lambda: got.append(semaphore.acquire(True, 0.01)))
    thread.start()
    thread.join()
    assert got == [False] and semaphore._count() == 2, "the thread came in as the one that holds it"

    # back again, in their present state
    simple.put(2)
    items.put(2)
    items.tag = "still mine"
    rlock.acquire()
    rlock.acquire()
    local.name = "later"
    semaphore.release()
    del here
    dhagapatch.unpatch_all()
    here = lock, rlock, simple, local, poll, epoll, sleep, allocate, fork, read, kind, items, semaphore
    assert [id(one) for one in here] == ids, here
    assert both[0] is lock and both[1][0] is time.sleep, both
    assert (simple.get(timeout=5), items.get(timeout=5), items.tag, local.name) == (2, 2, "still mine", "later")
    assert lock.locked() and "count=2" in repr(rlock) and semaphore._count() == 1
    rlock.release()
    rlock.release()
    semaphore.release()


def objects_on_their_own():
    """Only what is in a variable goes; a dictionary that `locals` gave is one more holder."""
    lock = threading.Lock()
    names = locals()
    report = dhagapatch.patch_all()
    assert names["lock"] is lock and is_green(lock), names
    assert not report.left, report
    dhagapatch.unpatch_all()
    assert names["lock"] is lock and type(lock) is _real.LockType, names


def nothing_is_kept():
    """The variables of a function that has ended are gone with it."""
    ended = []

    class Mark:
        def __del__(self):
            ended.append(True)

    def patching():
        mark, lock = Mark(), threading.Lock()
        dhagapatch.patch_all()
        assert is_green(lock) and mark
        del mark
        assert ended == [True], "something keeps what the variable held"
        mark = Mark()
        assert mark

    patching()
    assert ended == [True, True], "the frame is kept"
    dhagapatch.unpatch_all()


CALLS = """
import threading, time
import dhagapatch
from dhagapatch import _real

def call(lock, sleep, report):
    return lock, sleep, report

lock, sleep, report = call(threading.Lock(), time.sleep, dhagapatch.patch_all())
assert sorted(left.what for left in report.left) == ["a lock made before the patch", "time.sleep"], report
assert type(lock) is _real.LockType and sleep is _real.sleep
assert all("call that is under way" in left.why for left in report.left), report
"""


def calls_under_way():
    """What the evaluation stack holds is in the report; here, there is the watchdog's native thread."""
    done = subprocess.run([sys.executable, "-c", CALLS], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def in_all_places():
    told, ended, go = [], [], []
    generator, let = suspended(told), greenlet(switching)
    next(generator)
    let.switch(told)
    loop = asyncio.new_event_loop()
    future = loop.create_future()
    task = loop.create_task(waiting(told, future))
    loop.run_until_complete(asyncio.sleep(0))
    _thread.start_new_thread(natively, (ended, go))
    while not ended:
        time.sleep(0.001)
    below(dhagapatch.patch_all)
    next(generator)
    let.switch()
    future.set_result(None)
    loop.run_until_complete(task)
    loop.close()
    assert told == [True] * 3, told
    go.append(True)
    while len(ended) < 3:
        time.sleep(0.001)
    assert ended == ["begun", (True, True, 4950), "ended"], ended

    # a dhaga that is parked has what it took meanwhile exchanged too
    woken, back = threading.Event(), []

    def parked():
        sleep = time.sleep
        woken.wait()
        back.append(sleep is _real.sleep)

    thread = threading.Thread(target=parked)
    thread.start()
    time.sleep(0.01)
    woken.set()
    dhagapatch.unpatch_all()
    thread.join()
    assert back == [True], back


each_of_them()
objects_on_their_own()
nothing_is_kept()
calls_under_way()
in_all_places()
