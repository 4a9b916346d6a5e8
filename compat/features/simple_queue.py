"""`queue.SimpleQueue` waits and leaves the others running."""

import queue

from _runtime import Heart, answer, patch

patch()
heart = Heart()
try:
    queue.SimpleQueue().get(timeout=0.4)
except queue.Empty:
    answer(heart.longest_gap() < 0.2)
answer(False)
