# run: -m dhagapatch
"""Who is chosen and can't use it passes it on: a stolen item, a handler that raises.  Nobody waits for ever for a busy lock."""

import queue
import signal
import threading
import time


def started(function, *args):
    thread = threading.Thread(target=function, args=args)
    thread.start()
    return thread


def fairness(make):
    """Beside one that takes it again at once, whenever it has released it, each of the others has its turns."""
    lock, turns, ended = make(), {}, []

    def work(name):
        turns[name] = 0
        while not ended:
            with lock:
                turns[name] += 1
                time.sleep(0)  # whoever waits finds it taken

    threads = [started(work, name) for name in range(3)]
    while len(turns) < 3 or max(turns.values()) < 300:
        time.sleep(0.001)
    ended.append(True)
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    assert min(turns.values()) >= max(turns.values()) // 10, turns


def fairness_of_timed_waits(make):
    """The same for waiters that give a time-out, and for ones that come and go."""
    lock, got, ended = make(), [], []

    def hog():
        while not ended:
            with lock:
                time.sleep(0)

    def other():
        for _ in range(20):
            assert lock.acquire(timeout=15)
            got.append(True)
            lock.release()

    threads = [started(hog), started(other)]
    threads[1].join(15)
    ended.append(True)
    threads[0].join()
    assert len(got) == 20, got


class Rung(Exception):
    pass


def ring(number, frame):
    raise Rung


def a_handler_in_the_one_that_was_chosen(make, handed):
    """The main thread is given the lock, or woken for it, and a handler raises before it has its turn."""
    lock, steps = make(), []
    go = threading.Event()

    def holder():
        with lock:
            steps.append("held")
            go.wait()
            time.sleep(0.005)
        if handed:  # take it again before the one that was woken has its turn: the next release is for that one alone
            lock.acquire()
            time.sleep(0.005)
            lock.release()
        signal.raise_signal(signal.SIGUSR1)
        steps.append("rung")

    thread = started(holder)
    while not steps:
        time.sleep(0.001)
    go.set()
    try:
        with lock:
            pass
    except Rung:
        steps.append("raised")
    try:
        thread.join(5)
    except Rung:  # as late as that
        thread.join(5)
        steps.append("raised")
    assert sorted(steps) == ["held", "raised", "rung"], steps
    got = []
    other = started(lambda: got.append(lock.acquire(timeout=5) and lock.release()))
    other.join()
    assert got == [None] and not repr(lock).startswith("<locked"), (steps, lock)


def a_handler_in_the_first_of_two(take, give):
    """The main thread is chosen, and a handler raises before it has its turn: the one behind it gets what it was to get."""
    got, raised = [], []

    def second():
        time.sleep(0.002)  # behind the main one
        got.append(take())

    def giver():
        time.sleep(0.01)
        give()
        signal.raise_signal(signal.SIGUSR1)

    threads = [started(second), started(giver)]
    try:
        take()
    except Rung:
        raised.append(True)
    try:
        for thread in threads:
            thread.join(5)
    except Rung:
        raised.append(True)
    assert raised and got in ([True], [1]), (raised, got)


def a_stolen_item(make):
    """Two wait, two come, and a third takes one: one of the two goes on waiting, and gets the next."""
    items, got = make(), []
    threads = [started(lambda name=name: got.append((name, items.get()))) for name in "ab"]
    time.sleep(0.01)
    items.put(1)
    items.put(2)
    stolen = items.get()
    for _ in range(20):
        time.sleep(0)
    assert stolen == 1 and len(got) == 1 and got[0][1] == 2, (stolen, got)
    items.put(3)
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive(), "an item was there, and nobody was woken"
    assert sorted(item for _, item in got) == [2, 3] and sorted(name for name, _ in got) == ["a", "b"], got
    assert items.empty()


def a_stolen_item_and_a_deadline(make):
    """The same if the one that was passed over has a time-out: it ends by that, or gets what comes."""
    items, got = make(), []

    def get(timeout):
        try:
            got.append(items.get(timeout=timeout))
        except queue.Empty:
            got.append("empty")

    threads = [started(get, timeout) for timeout in (0.02, 0.02)]
    time.sleep(0.005)
    items.put(1)
    items.put(2)
    assert items.get() == 1
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    assert sorted(map(str, got)) == ["2", "empty"], got


signal.signal(signal.SIGUSR1, ring)
for make in (threading.Lock, threading.RLock):
    fairness(make)
    fairness_of_timed_waits(make)
    for handed in (False, True):
        a_handler_in_the_one_that_was_chosen(make, handed)
for make in (threading.Lock, threading.Semaphore):
    lock = make()
    lock.acquire()
    a_handler_in_the_first_of_two(lambda lock=lock: lock.acquire(timeout=5), lock.release)
for make in (queue.SimpleQueue, queue.Queue):
    items = make()
    a_handler_in_the_first_of_two(lambda items=items: items.get(timeout=5), lambda items=items: items.put(1))
    a_stolen_item(make)
    a_stolen_item_and_a_deadline(make)
