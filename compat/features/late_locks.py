"""A lock that was made, and is held, before the patch can be waited for by one thread and released by another."""

import threading
import time

from _runtime import answer, patch

lock = threading.Lock()
lock.acquire()
patch()
done = []
thread = threading.Thread(target=lambda: done.append(lock.acquire()))
thread.start()
time.sleep(0.05)
lock.release()
thread.join(1)
answer(done)
