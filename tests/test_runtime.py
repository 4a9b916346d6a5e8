"""The runtime as a program sees it, each case in a fresh interpreter."""

from __future__ import annotations

import pytest
from run_isolated import run_isolated

LATE = """
import threading, queue, socket, time
from time import sleep
from socket import socket as Socket
lock = threading.Lock(); rlock = threading.RLock(); condition = threading.Condition()
simple = queue.SimpleQueue(); simple.put(1)
import dhagapatch
report = dhagapatch.patch_all()
"""


def test_three_sleeps_take_as_long_as_one() -> None:
    run_isolated(
        LATE
        + """
start = time.monotonic()
threads = [threading.Thread(target=sleep, args=(0.3,)) for _ in range(3)]
[t.start() for t in threads]; [t.join() for t in threads]
assert time.monotonic() - start < 0.6
assert not report.left, str(report)
"""
    )


def test_locks_made_earlier_are_adopted_and_shared_by_dhagas() -> None:
    run_isolated(
        LATE
        + """
log = []
def work(n):
    for _ in range(3):
        with lock, rlock:
            log.append(n); sleep(0); log.append(n)
threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
[t.start() for t in threads]; [t.join() for t in threads]
assert len(log) == 18 and all(log[i] == log[i + 1] for i in range(0, 18, 2)), log
assert simple.get() == 1
"""
    )


def test_echo_between_threads() -> None:
    run_isolated(
        LATE
        + """
server = socket.create_server(("127.0.0.1", 0))
def echo(sock):
    with sock:
        while data := sock.recv(100):
            sock.sendall(data)
def serve():
    while True:
        threading.Thread(target=echo, args=(server.accept()[0],), daemon=True).start()
threading.Thread(target=serve, daemon=True).start()
clients = [socket.create_connection(server.getsockname()) for _ in range(20)]
for round in range(50):
    for client in clients: client.sendall(b"x" * 10)
    for client in clients: assert client.recv(100) == b"x" * 10
clients[0].settimeout(0.05)
for drained in (False, True):  # the second call knows that there is nothing, and parks without trying
    try:
        clients[0].recv(1)
    except TimeoutError as error:
        assert str(error) == "timed out" and error.__context__ is None
    else:
        raise AssertionError
"""
    )


def test_deadlock_is_an_error_that_says_who_waits() -> None:
    out = run_isolated(
        """
import dhagapatch; dhagapatch.patch_all()
import threading
held = threading.Lock(); held.acquire()
try:
    held.acquire()
except dhagapatch.DeadlockError as error:
    print(error)
"""
    )
    assert "MainThread waits for <locked _thread.lock object" in out


def test_unpatch_restores_names_and_methods() -> None:
    run_isolated(
        """
import socket, ssl, threading, time, select, os, signal, fcntl
from dhagapatch.monkey.table import TABLE
import sys, dhagapatch
def snapshot():
    found = {}
    for row in TABLE:
        owner = sys.modules.get(row.module)
        if owner is not None:
            for part in row.name.split(".")[:-1]:
                owner = getattr(owner, part, object)  # not in this version
            found[row.module, row.name] = id(vars(owner).get(row.name.split(".")[-1]))
    found.update({("threading", name): id(value) for name, value in vars(threading).items() if callable(value)})
    return found
before = snapshot()
dhagapatch.patch_all()
assert dhagapatch.is_patched("time.sleep") and id(dhagapatch.original("time", "sleep")) == before["time", "sleep"]
assert any(snapshot()[key] != value for key, value in before.items())
dhagapatch.unpatch_all()
after = snapshot()
assert not [key for key in before if before[key] != after.get(key)]
assert not dhagapatch.is_patched("time.sleep")
"""
    )


def test_a_lock_passes_between_dhagas_and_a_native_thread() -> None:
    run_isolated(
        """
from dhagapatch import _real
from dhagapatch.core import Lock, Queue, spawn
lock, done, count = Lock(), Queue(), [0]
def work():
    for _ in range(20000):
        with lock:
            value = count[0]; count[0] = value + 1
    done.put(1)
_real.start_new_thread(work, ()); spawn(work); spawn(work)
for _ in range(3): done.get(timeout=15)
assert count == [60000]
"""
    )


@pytest.mark.parametrize("code", ["import sys; sys.exit(7)", "1/0", "raise SystemExit('words')", "print(__name__)"])
def test_the_launcher_ends_as_plain_python(code: str) -> None:
    import subprocess
    import sys

    plain, ours = (
        subprocess.run([sys.executable, *launcher, "-c", code], capture_output=True, text=True, timeout=30)
        for launcher in ([], ["-m", "dhagapatch"])
    )
    assert (plain.returncode, plain.stdout, plain.stderr) == (ours.returncode, ours.stdout, ours.stderr)
