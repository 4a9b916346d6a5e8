# run: -m dhagapatch
"""A dhaga whose thread has ended runs further threads, and nothing of the earlier one is seen in the later."""

import asyncio
import contextvars
import gc
import os
import sys
import threading
import time
import weakref

import greenlet

import dhagapatch
from dhagapatch.core import Dhaga
from dhagapatch.core.hub import get_hub
from dhagapatch.core.offload import own_native_threads

VARIABLE = contextvars.ContextVar("VARIABLE", default="default")
LOCAL = threading.local()
hub = get_hub()


def run(function, *args):
    """What `function` gives in a thread, or raises; the identity of that thread."""
    result = []

    def call():
        try:
            result.append(function(*args))
        except BaseException as error:
            result.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    ident = thread.ident
    thread.join(5)
    assert not thread.is_alive()
    return result[0], ident


def state():
    """What a thread finds when it begins."""
    return (
        VARIABLE.get(), list(contextvars.copy_context().items()), vars(LOCAL), sys.gettrace(),
        sys.exc_info(), asyncio._get_running_loop(), sys.get_asyncgen_hooks(), len(threading.enumerate()),
        sys.get_coroutine_origin_tracking_depth(),
    )  # fmt: skip


def leave_things_behind():
    VARIABLE.set("mine")
    LOCAL.value = 1
    asyncio._set_running_loop(asyncio.new_event_loop())
    try:
        raise ValueError("handled")
    except ValueError:
        ROUND.wait(0.001)
        raise SystemExit from None


class Round:
    def wait(self, seconds):
        time.sleep(seconds)


ROUND = Round()
fresh, first = run(state)
assert fresh[:2] == ("default", []) and fresh[2] == {}, fresh
left, second = run(leave_things_behind)
assert isinstance(left, SystemExit), left
del left  # its traceback leads to the dhaga's frame
again, third = run(state)
assert first == second == third, (first, second, third)  # or this test tests nothing
assert again == fresh, (again, fresh)

# one that a debugger has looked at is not used again: it may have left something with each frame
# (its identity may come again: it is an address)
watched = []
_, fourth = run(lambda: (watched.append(weakref.ref(greenlet.getcurrent())), sys.settrace(lambda *_: None)))
assert watched[0]() is None or watched[0]().dead
again, fifth = run(state)
assert again == fresh and fourth == third, (again, fresh)

# nor is one that somebody may have kept
kept, sixth = run(dhagapatch.current_dhaga)
assert run(time.sleep, 0.001)[1] != sixth == fifth
kept.kill()
assert kept.dead
del kept

# each alive at once has one of its own
barrier = threading.Barrier(201)
threads = [threading.Thread(target=barrier.wait) for _ in range(200)]
for thread in threads:
    thread.start()
assert len({thread.ident for thread in threads} | {threading.get_ident()}) == 201
barrier.wait(5)
for thread in threads:
    thread.join(5)
assert threading.enumerate() == [threading.main_thread()]
assert len(hub.spare) == 64, len(hub.spare)
assert not hub.dhagas

# what a thread held is let go when it ends, not when the next one begins


class Held:
    def method(self):
        self.local = threading.local()
        self.local.me = [self]


held = Held()
gone = weakref.ref(held)
run(held.method)
del held
gc.collect()
assert gone() is None

# the end of time of one thread is not that of the next
lock = threading.Lock()
lock.acquire()
waited, _ = run(lock.acquire, True, 0.05)
assert waited is False
began = time.monotonic()
slept, _ = run(time.sleep, 0.15)
assert slept is None and time.monotonic() - began > 0.14

# a handle on a dhaga is a handle on that dhaga alone
ended = dhagapatch.spawn(int)
time.sleep(0.01)
assert ended.dead
ended.kill()
del ended
assert run(time.sleep, 0.01)[0] is None


# a wake that comes when the thread has ended begins nothing, and harms nothing
for _ in range(3):
    hub.runq.append(hub.spare[-1])
    hub.wake(hub.spare[-1])
    time.sleep(0.001)
    hub.runq.append(hub.spare[-1])
    assert run(time.sleep, 0.01)[0] is None


# a deep stack of one leaves the next as much room
def deep(levels):
    return levels and deep(levels - 1) + 1


assert run(deep, 700)[0] == 700
assert isinstance(run(deep, sys.getrecursionlimit() + 100)[0], RecursionError)
assert run(deep, 700)[0] == 700

# an exception that ends one
told = []
threading.excepthook = lambda args: told.append(args.exc_type)
for _ in range(3):
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join(5)
assert told == [ZeroDivisionError] * 3, told
threading.excepthook = threading.__excepthook__


# a fork in one: the child goes on in it, and ends with it
def fork():
    pid = os.fork()
    if pid == 0:
        assert threading.main_thread() is threading.current_thread()
        for _ in range(3):
            run(state)
        return None
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


for _ in range(3):
    assert run(fork)[0] == 0

# another OS thread's hub, with spare dhagas when the thread ends


def native():
    from dhagapatch import _real

    done = _real.allocate_lock()
    done.acquire()
    seen = []

    def body():
        try:
            its = dhagapatch.get_hub()
            for _ in range(3):
                seen.append(run(state)[0][:2])
            assert len(its.spare) == 1
        except BaseException as error:
            seen.append(error)
        finally:
            done.release()

    before = own_native_threads()
    _real.start_new_thread(body, ())
    while not done.acquire(False):
        time.sleep(0.01)
    assert seen == [("default", [])] * 3, seen
    assert own_native_threads() == before


for _ in range(5):
    native()
for _ in range(100):
    gc.collect()
    left = [one for one in gc.get_objects() if type(one) is Dhaga and one not in hub.spare]
    if not left:
        break
    time.sleep(0.01)
assert not left, (left, [gc.get_referrers(one) for one in left])
