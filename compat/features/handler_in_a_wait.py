"""A signal handler runs while the main thread waits without a limit, and what it raises ends that wait."""

import os
import signal
import threading
import time

from _runtime import answer, patch

patch()


class Ends(Exception):
    pass


def handler(*_):
    raise Ends


def sends():
    time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGUSR1)


signal.signal(signal.SIGUSR1, handler)
threading.Thread(target=sends, daemon=True).start()
try:
    threading.Event().wait()
except Ends:
    answer(True)
answer(False)
