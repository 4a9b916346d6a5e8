"""A thread forks: the child has that thread alone, and goes on with threads of its own."""

import os
import threading
import time

from _runtime import answer, patch

patch()
codes = []
parent = os.getpid()


def forks():
    child = os.fork()
    if child == 0:
        inner = threading.Thread(target=time.sleep, args=(0.01,))
        inner.start()
        inner.join()
        os._exit(7 if threading.current_thread() is threading.main_thread() else 1)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def other():
    while True:
        time.sleep(0.001)
        if os.getpid() != parent:
            os._exit(9)


threading.Thread(target=other, daemon=True).start()
thread = threading.Thread(target=forks)
thread.start()
thread.join(3)
answer(codes == [7])
