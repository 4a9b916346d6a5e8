# run: -m dhagapatch
"""The runtime's own descriptors have high numbers: a program finds the low ones free, and may close whatever it did not open.

A forked child has as many descriptors as its parent, whether or not it has waited yet, and can do the same.
"""

import errno
import os
import select
import selectors
import socket
import threading
import time
import traceback

import dhagapatch
from dhagapatch.core.own import OWN


def check(holds: bool, told: object) -> None:
    assert holds, told


before = os.dup(0)
os.close(before)
time.sleep(0.001)  # makes the hub
threading.Event().wait(0.001)
after = os.dup(0)
os.close(after)
assert after == before, (before, after, os.listdir("/proc/self/fd"))


def waits() -> None:
    thread = threading.Thread(target=time.sleep, args=(0.01,))
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    reader, writer = os.pipe()
    threading.Timer(0.01, os.write, (writer, b"x")).start()
    assert os.read(reader, 1) == b"x"


def numbers() -> set[int]:
    """The open descriptors, the one aside with which they are listed."""
    return {int(name) for name in os.listdir("/proc/self/fd")} - {low}


def close_one_by_one() -> None:
    """As a daemon does that can't know what is open."""
    for fd in range(3, 2048):
        try:
            os.close(fd)
        except OSError as error:
            assert error.errno == errno.EBADF, error
            assert error.strerror == os.strerror(errno.EBADF)


def in_child(*steps) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            for step in steps:
                step()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


low = os.dup(0)
os.close(low)
with selectors.DefaultSelector():
    pass
own = {number for number in numbers() if number >= 960}
assert own
os.closerange(3, 1 << 16)
waits()
close_one_by_one()
waits()
assert own <= numbers()
before = numbers()
in_child(lambda: check(numbers() == before, (numbers(), before)))
in_child(lambda: time.sleep(0.001), lambda: check(len(numbers()) == len(before), numbers()))
in_child(lambda: os.closerange(3, 1 << 16), waits)
in_child(close_one_by_one, waits, close_one_by_one, waits)
in_child(lambda: in_child(lambda: in_child(close_one_by_one, waits), waits), waits)  # no hub in between
waits()
for number in own:
    try:
        os.dup2(0, number)
    except OSError as error:
        assert error.errno == errno.EBUSY and "dhagapatch" in str(error), error
    else:
        raise AssertionError("the runtime's own descriptor was taken away")
    for take in (open, os.fdopen, lambda number: socket.socket(fileno=number), select.epoll.fromfd):
        try:
            take(number).close()
        except OSError as error:
            assert error.errno == errno.EBADF, (take, error)
        else:
            raise AssertionError("the runtime's own descriptor was closed")
assert own <= numbers()
os.dup2(0, 900)
os.close(900)
waits()

# a loop that is closed gives its numbers back, too
child = os.fork()
if child == 0:
    loop = dhagapatch.get_hub().asyncio_loop
    both = {loop._ssock.fileno(), loop._csock.fileno()}
    assert both <= OWN
    loop.close()
    os._exit(len(both & OWN))
assert os.waitpid(child, 0)[1] == 0
