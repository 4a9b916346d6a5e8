# run: -m dhagapatch
"""An error when nothing can ever run again; none while a native thread, another hub, a timer or Ctrl-C may still come."""

import os
import signal
import subprocess
import sys
import threading
import time

import dhagapatch
from dhagapatch import _real
from dhagapatch.core import Queue

lock = threading.Lock()
lock.acquire()


def later(seconds, function):
    _real.start_new_thread(lambda: (_real.sleep(seconds), function()), ())


later(0.2, lock.release)  # a native thread
lock.acquire()
tokens = Queue()


def in_a_second_hub():
    dhagapatch.get_hub()
    time.sleep(0.2)
    tokens.put("token")


_real.start_new_thread(in_a_second_hub, ())
assert tokens.get() == "token"
handled = []
signal.signal(signal.SIGALRM, lambda *args: handled.append(lock.release()))
signal.setitimer(signal.ITIMER_REAL, 0.2)
lock.acquire()
assert handled == [None]
signal.signal(signal.SIGALRM, signal.SIG_DFL)

# a stale deadline of an hour does not hide a deadlock
early = threading.Event()
thread = threading.Thread(target=early.wait, args=(3600,))
thread.start()
time.sleep(0)
early.set()
thread.join()
start = time.monotonic()
try:
    lock.acquire()
except dhagapatch.DeadlockError as error:
    assert "MainThread waits for <locked _thread.lock" in str(error), error
else:
    raise AssertionError
assert time.monotonic() - start < 2

# who holds what, and the ring
first, second = threading.RLock(), threading.RLock()


def takes(one, other):
    try:
        with one:
            time.sleep(0.01)
            with other:
                pass
    except dhagapatch.DhagaExit:
        pass


threads = [threading.Thread(target=takes, args=args, name=name) for name, *args in (("A", first, second), ("B", second, first))]
for thread in threads:
    thread.start()
try:
    threads[0].join()
    raise AssertionError
except dhagapatch.DeadlockError as error:
    text = str(error)
    assert "MainThread waits for the end of A" in text and "held by A" in text and "held by B" in text, text
    ring = text.partition("who wait for each other:")[2]
    assert ring.count(" in takes") == 2 and "MainThread" not in ring and "dhaga.py" not in ring, text
for dhaga in list(dhagapatch.get_hub().dhagas):
    dhaga.kill()
for thread in threads:
    thread.join()

# daemon threads wait for work and the main one for Ctrl-C
program = """
import queue, threading
threading.Thread(target=queue.Queue().get, daemon=True).start()
print("ready", flush=True)
try:
    threading.Event().wait()
except KeyboardInterrupt:
    print("bye")
"""
child = subprocess.Popen([sys.executable, "-m", "dhagapatch", "-c", program], stdout=subprocess.PIPE, text=True)
assert child.stdout.readline() == "ready\n"
time.sleep(0.3)
os.kill(child.pid, signal.SIGINT)
assert child.communicate(timeout=5)[0] == "bye\n" and child.returncode == 0
