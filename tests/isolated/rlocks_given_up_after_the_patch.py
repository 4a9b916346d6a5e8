"""An RLock that native code holds at the patch: who gives up while it waits for that half of it keeps nothing of the other."""

import threading
import time

import dhagapatch
from dhagapatch import DhagaExit

lock = threading.RLock()
lock.acquire()
dhagapatch.patch_all()
assert type(lock).__name__ == "RLock" and lock._is_owned(), lock
said = []


def take(**how):
    try:
        said.append(lock.acquire(**how))
    except DhagaExit:
        said.append("killed")
        raise


timed_out = threading.Thread(target=take, kwargs={"timeout": 0.01})
timed_out.start()
timed_out.join()
unwilling = threading.Thread(target=take, kwargs={"blocking": False})
unwilling.start()
unwilling.join()
killed = dhagapatch.spawn(take)
time.sleep(0.01)
killed.kill()
while not killed.dead:
    time.sleep(0.001)
assert said == [False, False, "killed"], said
lock.release()
last = threading.Thread(target=lambda: (take(timeout=10), lock.release()))
last.start()
last.join()
assert said[-1] is True, "a half of the lock was kept"
assert lock.acquire(blocking=False)
