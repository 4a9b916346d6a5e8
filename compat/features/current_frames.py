"""`sys._current_frames` shows all threads, by the identities that `threading` knows."""

import sys
import threading
import time

from _runtime import answer, patch

patch()
event = threading.Event()
thread = threading.Thread(target=event.wait, daemon=True)
thread.start()
time.sleep(0.05)
answer(thread.ident in sys._current_frames())
