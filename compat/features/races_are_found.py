"""The interleavings of a test's threads can be explored, and one that fails replayed."""

import threading

from _runtime import RUNTIME, answer, patch

patch()
if RUNTIME != "dhagapatch":
    answer(False)
from dhagapatch.testing import ExploreError, explore  # noqa: E402


def lost_update():
    count = [0]

    def add():
        value = count[0]
        count[0] = value + 1

    threads = [threading.Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count == [2]


try:
    explore(lost_update)
except ExploreError:
    answer(True)
answer(False)
