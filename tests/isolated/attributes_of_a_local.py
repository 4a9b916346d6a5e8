# run: -m dhagapatch
"""Attributes of a `threading.local` are read and set any number of times: nothing is freed under it, and nothing is kept."""

import sys
import threading
import time

local = threading.local()


def use():
    local.value = [threading.get_ident()]
    namespace = local.__dict__
    held, kept = sys.getrefcount(namespace), sys.getrefcount(local.value)
    for number in range(300):
        assert local.value == [threading.get_ident()]
        local.number = number
        if number % 100 == 0:
            time.sleep(0)
    assert sys.getrefcount(namespace) == held and sys.getrefcount(local.value) == kept
    assert namespace == {"value": [threading.get_ident()], "number": 299}
    done.append(1)


done = []
use()
threads = [threading.Thread(target=use) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(done) == 4
