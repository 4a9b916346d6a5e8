"""patch_all() called in a native thread patches for all; the main thread's threads are dhagas from then on."""

import socket
import threading
import time

import dhagapatch

reports = []
thread = threading.Thread(target=lambda: reports.append(dhagapatch.patch_all()))
thread.start()
thread.join()
assert dhagapatch.is_patched("time.sleep") and len(reports) == 1
seen = []
left, right = socket.socketpair()


def work(n):
    time.sleep(0.2)
    seen.append((n, threading.get_native_id()))
    left.send(b"x")


start = time.monotonic()
threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
for one in threads:
    one.start()
received = b""
while len(received) < 3:
    received += right.recv(3)
for one in threads:
    one.join()
assert time.monotonic() - start < 0.5
assert {ident for _, ident in seen} == {threading.get_native_id()}
