# run: -m dhagapatch
"""Threads are started until there is no memory left: a start is refused, and those that run come to their end."""

import queue
import resource
import sys
import threading
import time

import dhagapatch

MOST = 3000
PAGE = resource.getpagesize()


def set_limit(more):
    """So many bytes more than there are now."""
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * PAGE
    resource.setrlimit(resource.RLIMIT_AS, (now + more, resource.RLIM_INFINITY))


def run(more, size):
    """Start threads that each hold `size` bytes; how many could be started, and how many came to their end."""
    go, done, refused, threads = threading.Event(), [], [], []
    tokens = queue.Queue()

    def work():
        held = bytearray(size)
        go.wait()
        time.sleep(0.001)
        deeper(20)
        tokens.put(len(held))
        done.append(1)

    def deeper(n):
        """Others run while its stack is larger than it was when memory ran out."""
        if n:
            return deeper(n - 1)
        time.sleep(0)
        return None

    set_limit(more)
    for _ in range(MOST):
        thread = threading.Thread(target=work)
        try:
            thread.start()
        except (MemoryError, RuntimeError) as error:
            refused.append(str(error))
        else:
            threads.append(thread)
    active = threading.active_count()
    try:
        dhagapatch.spawn(print)
    except RuntimeError as error:
        refused.append(str(error))
    go.set()
    for thread in threads:
        thread.join()
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert set(refused) == {"can't start new thread"}, set(refused)
    assert active == len(threads) + 1 and tokens.qsize() == len(done) == len(threads), (active, len(threads), len(done))
    assert len(threads) + len(refused) == MOST + 1
    return len(threads)


for more, size in ((20 << 20, 0), (30 << 20, 20_000)):
    assert 100 < run(more, size) < MOST

# there is memory again: a thread that was refused may be started, and all is as ever
thread = threading.Thread(target=time.sleep, args=(0.001,))
set_limit(1 << 20)
others = []
while True:
    try:
        others.append(threading.Thread(target=time.sleep, args=(0.2,)))
        others[-1].start()
    except RuntimeError:
        break
try:
    thread.start()
except RuntimeError:
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    thread.start()
thread.join()
for other in others[:-1]:
    other.join()
assert threading.active_count() == 1
print("all", file=sys.stderr)
