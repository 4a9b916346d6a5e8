# run: -m dhagapatch
"""A child that is forked while dhagas wait for locks and queues: its own waiters are served, not the parent's ghosts."""

import os
import queue
import threading
import time

from greenlet import getcurrent

from dhagapatch.core.hub import all_hubs, get_hub

lock, condition, simple, full = threading.Lock(), threading.Condition(), queue.SimpleQueue(), queue.Queue(1)
event = threading.Event()


def take(how):
    with how:
        pass


parents = [threading.Thread(target=take, args=(lock,), daemon=True) for _ in range(3)]
parents += [threading.Thread(target=simple.get, daemon=True) for _ in range(3)]
parents += [threading.Thread(target=event.wait, daemon=True) for _ in range(2)]
with lock:
    for thread in parents:
        thread.start()
    time.sleep(0.01)
    # the moment before a wait, in which a finalizer may fork: what it waits for is noted already
    getcurrent().dhaga_deadline = getcurrent().dhaga_timer_at = time.monotonic()
    pid = os.fork()
    if pid == 0:
        me = getcurrent()
        assert me.dhaga_deadline is None and me.dhaga_timer_at is None  # it is in no heap here, and waits for nothing
        got = []
        threads = [threading.Thread(target=lambda: (take(lock), got.append("lock"))) for _ in range(2)]
        threads += [threading.Thread(target=lambda: got.append(simple.get())) for _ in range(2)]
        threads += [threading.Thread(target=lambda: (event.wait(), got.append("event")))]
        for thread in threads:
            thread.start()
        time.sleep(0.01)
        lock.release()
        simple.put("item")
        simple.put("item")
        event.set()
        for thread in threads:
            thread.join(3)
        lock.acquire()
        assert all_hubs() == [get_hub()]  # its own: a dump, or a close, has nothing to do with the parent's
        os._exit(0 if sorted(got) == ["event", "item", "item", "lock", "lock"] else 1)
    _, status = os.waitpid(pid, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
for _ in range(3):
    simple.put(None)
event.set()
for thread in parents:
    thread.join(5)
    assert not thread.is_alive(), thread

# a thread that forked ends in the child; the threads that it started there run on
reader, writer = os.pipe()


def fork_and_end():
    if os.fork() == 0:
        threading.Thread(target=lambda: (time.sleep(0.05), os.write(writer, b"ran on"))).start()


thread = threading.Thread(target=fork_and_end)
thread.start()
thread.join()
assert os.read(reader, 10) == b"ran on"
os.wait()
