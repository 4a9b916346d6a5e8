"""Dhagas that all begin in one turn, and wait at once, do not begin one inside the other: the C stack would end."""

import resource
import time

import dhagapatch

dhagapatch.patch_all()
resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, resource.getrlimit(resource.RLIMIT_STACK)[1]))
ended = []
MANY = 20_000


def work():
    time.sleep(0.01)
    ended.append(1)


for _ in range(MANY):
    dhagapatch.spawn(work)
limit = time.monotonic() + 15
while len(ended) < MANY:
    assert time.monotonic() < limit, len(ended)
    time.sleep(0.01)
