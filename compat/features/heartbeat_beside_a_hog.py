"""A thread that computes does not stop the others' heartbeat (time slices)."""

import time

from _runtime import Heart, answer, patch

patch(timeslice=0.01)
heart = Heart()
until = time.process_time() + 0.8
n = 0
while time.process_time() < until:
    for i in range(1000):
        n += i * i
answer(heart.longest_gap() < 0.3)
