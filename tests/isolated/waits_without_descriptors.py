"""No wait needs a descriptor that it does not need natively: with none left everything waits, in a forked child too.

Run three times by itself: with the usual limit, with a low one, and with one below what is open already.
"""

import os
import resource
import select
import socket
import subprocess
import sys
import threading
import time
from selectors import DefaultSelector, EVENT_READ

import dhagapatch


def later(call, *args) -> threading.Thread:
    """After the caller has begun to wait."""

    def run() -> None:
        time.sleep(0.01)
        call(*args)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


class Waits:
    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self.left, self.right = socket.socketpair()
        self.epoll = select.epoll()
        self.epoll.register(self.left, select.EPOLLIN)
        self.poll = select.poll()
        self.poll.register(self.reader, select.POLLIN)
        self.selector = DefaultSelector()
        self.selector.register(self.left, EVENT_READ)

    def check(self) -> None:
        time.sleep(0.001)
        lock = threading.Lock()
        lock.acquire()
        thread = later(lock.release)
        assert lock.acquire(timeout=30)
        thread.join()
        for wait in (
            lambda: select.select([self.reader, self.left], [], [], 30)[0],
            lambda: self.poll.poll(30000),
            lambda: os.read(self.reader, 1),
        ):
            thread = later(os.write, self.writer, b"xx")
            assert wait()
            thread.join()
            while select.select([self.reader], [], [], 0)[0]:
                os.read(self.reader, 1)
        for wait in (lambda: self.epoll.poll(30), lambda: self.selector.select(30), lambda: self.left.recv(1)):
            thread = later(self.right.send, b"xx")
            assert wait()
            thread.join()
            while select.select([self.left], [], [], 0)[0]:
                self.left.recv(1)


def exhaust() -> None:
    try:
        while True:
            os.open(os.devnull, os.O_RDONLY)
    except OSError:
        pass


def in_child(call) -> None:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            call()
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0


def main(limit: str, begins: str) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    dhagapatch.patch_all()
    waits = Waits()
    resource.setrlimit(resource.RLIMIT_NOFILE, ({"usual": 1024, "low": 100, "below": 16}[limit], hard))
    exhaust()
    if begins == "parent":
        waits.check()
    in_child(waits.check)
    in_child(lambda: in_child(waits.check))
    waits.check()


def natively_and_so(closes_first: str) -> None:
    """A wait's own descriptor, if it had one, would be closed, and its number come again as the program's."""
    dhagapatch.patch_all()
    reader, writer = os.pipe()
    low = os.dup(0)
    os.close(low)
    seen = []

    def wait() -> None:
        seen.append(select.select([reader], [], [], 30))

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.01)
    assert os.dup(0) == low, "a wait has taken a number"
    os.close(low)
    os.closerange(max(reader, writer) + 1, 200)
    mine = os.open(sys.argv[0], os.O_RDONLY)
    os.write(writer, b"x")
    thread.join()
    assert seen == [([reader], [], [])]
    assert os.read(mine, 1)


if len(sys.argv) > 1:
    globals()[sys.argv[1]](*sys.argv[2:])
else:
    runs = [("main", limit, begins) for limit in ("usual", "low", "below") for begins in ("parent", "child")]
    for run in (*runs, ("natively_and_so", "")):
        command = [sys.executable, sys.argv[0], *run]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (run, done.stderr)
