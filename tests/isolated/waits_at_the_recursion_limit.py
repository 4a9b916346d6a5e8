# run: -m dhagapatch
"""A call that waits near the recursion limit waits, or raises RecursionError: it never holds the OS thread, nor asks for ever."""

import os
import socket
import sys
import threading

LEVELS = 24


def pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return socket.create_connection(listener.getsockname()), listener.accept()[0]


a, b = pair()
timed_a, timed_b = pair()
timed_b.settimeout(10)
reader, writer = os.pipe()
lock = threading.Lock()
lock.acquire()


def deep(levels, call):
    return deep(levels - 1, call) if levels else call()


CALLS = {
    "recv": (lambda: b.recv(5), lambda: a.sendall(b"12345")),
    "recv with a timeout": (lambda: timed_b.recv(5), lambda: timed_a.sendall(b"12345")),
    "recvfrom": (lambda: b.recvfrom(5), lambda: a.sendall(b"12345")),
    "read of a pipe": (lambda: os.read(reader, 5), lambda: os.write(writer, b"12345")),
    "lock": (lock.acquire, lock.release),
}


def run():
    sys.setrecursionlimit(300)
    deepest = 0

    def count(level):
        nonlocal deepest
        deepest = level
        count(level + 1)

    try:
        count(0)
    except RecursionError:
        pass
    for name, (wait, come) in CALLS.items():
        waited = 0
        for left in range(LEVELS):
            coming = threading.Timer(0.003, come)
            coming.start()
            try:
                deep(deepest - left, wait)
                waited += 1
            except RecursionError:
                coming.join()
                wait()  # what has come is there, once
        results[name] = waited


results: dict[str, int] = {}
thread = threading.Thread(target=run, daemon=True)
thread.start()
thread.join(15)
assert len(results) == len(CALLS), f"it hangs after {results}"
assert all(waited > 0 for waited in results.values()), results
