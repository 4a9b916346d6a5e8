# run: -m dhagapatch
"""Native threads use the patched objects too: accepting, waiting, offloading; and a hub ends with its native thread."""

import gc
import os
import select
import signal
import socket
import threading
import time
from pathlib import Path

import dhagapatch
from dhagapatch import _real
from dhagapatch.core import Queue, hub_for_wait
from dhagapatch.core.hub import all_hubs

results = Queue()


def natively(function, *args):
    def run():
        assert hub_for_wait() is None
        try:
            results.put(function(*args))
        except BaseException as error:
            results.put(error)

    _real.start_new_thread(run, ())


# one listener, accepted from by dhagas and by native threads
listener = socket.create_server(("127.0.0.1", 0), backlog=100)
accepted = []
holding = []  # who has a connection now


def accept(who):
    while True:
        sock, _ = listener.accept()
        holding.append(who)
        with sock:
            if sock.recv(1) == b"q":
                return who
            accepted.append(who)


natively(accept, "native")
threads = [threading.Thread(target=lambda: results.put(accept("dhaga"))) for _ in range(2)]
for thread in threads:
    thread.start()
for _ in range(60):
    # who has a connection waits for its data, so each of the three gets one
    clients = [socket.create_connection(listener.getsockname()) for _ in range(3)]
    until = time.monotonic() + 10
    while len(holding) < 3 and time.monotonic() < until:
        time.sleep(0.001)
    assert sorted(holding) == ["dhaga", "dhaga", "native"], holding
    holding.clear()
    for client in clients:
        client.send(b"x")
    for client in clients:
        assert client.recv(1) == b""
        client.close()
for _ in range(3):
    with socket.create_connection(listener.getsockname()) as client:
        client.send(b"q")
assert sorted(results.get(timeout=10) for _ in range(3)) == ["dhaga", "dhaga", "native"]
assert len(accepted) == 180, len(accepted)
assert results.qsize() == 0
listener.close()

# every kind of wait, in a native thread, ended by a dhaga
event, condition, lock = threading.Event(), threading.Condition(), threading.Lock()
left, right = socket.socketpair()
reader, writer = os.pipe()
lock.acquire()
natively(event.wait, 10)
natively(lambda: lock.acquire(timeout=10))
natively(left.recv, 1)
natively(os.read, reader, 1)
natively(lambda: select.select([reader], [], [], 10)[0] == [reader])
natively(lambda: time.sleep(0.05) is None)
natively(lambda: socket.getaddrinfo("localhost", 1) != [])
time.sleep(0.05)
event.set()
lock.release()
right.send(b"x")
os.write(writer, b"xx")
got = [results.get(timeout=10) for _ in range(7)]
assert sorted(map(repr, got)) == ["True"] * 5 + ["b'x'"] * 2, got

# a blocked signal does not find a thread of the pool
socket.getaddrinfo("localhost", 1)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])


def block_it(task):
    try:
        lines = Path(f"/proc/self/task/{task}/status").read_text().splitlines()
    except OSError:
        return True  # it has ended
    return any(int(line.split()[1], 16) & 1 << signal.SIGUSR1 - 1 for line in lines if line.startswith("SigBlk"))


until = time.monotonic() + 10
while not all(map(block_it, os.listdir("/proc/self/task"))):  # this script's own native threads are about to end
    assert time.monotonic() < until, "a thread that does not block it"
    time.sleep(0.001)
os.kill(os.getpid(), signal.SIGUSR1)
assert signal.sigwait([signal.SIGUSR1]) == signal.SIGUSR1
# and a child that the pool starts has the caller's mask
assert os.system(f"test $(grep SigBlk /proc/self/status | cut -f2) = {1 << signal.SIGUSR1 - 1:016x}") == 0

# hubs end with their threads, and give their descriptors back
def with_a_hub():
    dhagapatch.get_hub()
    time.sleep(0.001)


before = len(os.listdir("/proc/self/fd"))
for _ in range(10):
    _real.start_new_thread(lambda: (with_a_hub(), results.put(None)), ())
for _ in range(10):
    results.get(timeout=10)
until = time.monotonic() + 5



def given_back():  # the thread that ends closes them after the hub has left the list
    return len(all_hubs()) == 1 and len(os.listdir("/proc/self/fd")) <= before + 2


while not given_back() and time.monotonic() < until:
    gc.collect()
    time.sleep(0.01)
assert given_back(), (all_hubs(), os.listdir("/proc/self/fd"))
