# run: -m dhagapatch
"""What is kept of one thread, in whatever way, does not reach the one that runs in its dhaga after it."""

import contextvars
import os
import signal
import sys
import threading
import time

import dhagapatch


def run(function, *args):
    result = []
    thread = threading.Thread(target=lambda: result.append(function(*args)))
    thread.start()
    thread.join(5)
    assert result, f"{function.__name__} did not come to its end"
    return result[0]


def completes():
    time.sleep(0.1)
    return True


# a mask
def blocks():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    return True


def is_killed_by_sigterm():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), signal.SIGTERM)
        os._exit(7)
    return before, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


assert run(blocks)
assert run(is_killed_by_sigterm) == (set(), -signal.SIGTERM)

# a Timeout whose block is never left
kept = []


def leaves_a_timeout():
    def generator():
        with dhagapatch.Timeout(0.05):
            yield

    kept.append(generator())
    next(kept[-1])
    return True


assert run(leaves_a_timeout)
assert run(completes)


# a shield that is left when another thread runs, and holds a kill
def leaves_a_shield():
    shield = dhagapatch.shield()
    shield.__enter__()
    kept.append(shield)
    dhagapatch.current_dhaga().kill()
    return True


assert run(leaves_a_shield)
thread = threading.Thread(target=lambda: kept.append(completes()))
thread.start()
time.sleep(0.02)
kept[-1].__exit__(None, None, None)
thread.join(5)
assert kept[-1] is True

# a handle
assert run(lambda: kept.append(dhagapatch.current_dhaga()) or True)
thread = threading.Thread(target=lambda: kept.append(completes()))
thread.start()
assert kept[-1].dead
kept[-1].kill()
thread.join(5)
assert kept[-1] is True

# what a debugger sets on each frame of a stack
calls = []


def is_debugged():
    def trace(frame, event, argument):
        calls.append(frame.f_code.co_name)
        return trace

    frame = sys._getframe()
    while frame is not None:
        frame.f_trace = trace
        frame = frame.f_back
    sys.settrace(trace)
    sys.settrace(None)
    return True


def is_traced():
    sys.settrace(lambda *_: None)
    return True


assert run(is_debugged)
calls.clear()
assert run(is_traced)
assert not calls, calls

# thread-local data that a finalizer makes when the thread has ended
local = threading.local()
variable = contextvars.ContextVar("variable")


class Late:
    def __del__(self):
        local.value = "of the first thread"


def leaves_a_finalizer():
    local.other = 1
    variable.set(Late())
    return True


assert run(leaves_a_finalizer)
assert run(lambda: vars(local).copy() or True) is True

# a thread that begins deep inside a callback of the loop
hub = dhagapatch.get_hub()
lock = threading.Lock()
lock.acquire()
waits = threading.Event()


def room(depth=0):
    try:
        return room(depth + 1)
    except RecursionError:
        return depth


def deep(levels):
    if levels:
        return deep(levels - 1)
    waits.set()
    return lock.acquire()


def starts_one():
    waits.wait(5)
    inside = threading.Thread(target=time.sleep, args=(0.01,))
    inside.start()
    time.sleep(0.005)
    lock.release()
    inside.join()
    return True


hub.asyncio_loop.call_soon(deep, 800)
assert run(starts_one)
rooms = []
threads = [threading.Thread(target=lambda: (rooms.append(room()), time.sleep(0.01))) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(5)
assert len(rooms) == 8 and min(rooms) > sys.getrecursionlimit() - 100, rooms
