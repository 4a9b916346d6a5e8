"""Names whose server is silent hold up nobody who asks for another one; more calls than native threads all finish."""

import socket
import sys
import threading
import time

import dhagapatch
from dhagapatch import _real, inspect
from dhagapatch._config import SETTINGS

dhagapatch.patch_all()
real, gate, other_gate = _real.getaddrinfo, _real.allocate_lock(), _real.allocate_lock()
gate.acquire()
other_gate.acquire()


def look_up(host, *args, **kwargs):
    """A resolver that hangs for some names until the gate is opened."""
    if isinstance(host, bytes):
        host = host.decode()
    if host.endswith(".silent"):
        with gate:
            pass
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    return real(host, *args, **kwargs)


_real.getaddrinfo = look_up
SILENT = 5 * SETTINGS.offload_threads
failed = []


def ask(number):
    try:
        socket.getaddrinfo(f"name{number}.silent", 80)
    except socket.gaierror:
        failed.append(number)


threads = [threading.Thread(target=ask, args=(n,)) for n in range(SILENT)]
for thread in threads:
    thread.start()
while inspect.stats()["offload"]["calls"] < SILENT:
    time.sleep(0.001)

# before any of them has its answer
listener = socket.create_server(("127.0.0.1", 0))
with socket.create_connection(("localhost", listener.getsockname()[1])):
    pass
sock = socket.socket()
sock.settimeout(15)
sock.connect(("localhost", listener.getsockname()[1]))
sock.close()
assert socket.gethostbyname("localhost") == "127.0.0.1"
assert not failed

# nor do calls that the user offloads, and the other way round
blocked = [dhagapatch.spawn(dhagapatch.offload, other_gate.acquire) for _ in range(SETTINGS.offload_threads)]
while inspect.stats()["offload"]["calls"] < SILENT + len(blocked):
    time.sleep(0.001)
assert socket.getaddrinfo("localhost", 80)

# those that are given up before they have begun never begin
begun = []
late = [dhagapatch.spawn(dhagapatch.offload, begun.append, n) for n in range(100)]
while inspect.stats()["offload"]["queued"] < 100:
    time.sleep(0.001)
for dhaga in late[:50]:
    dhaga.kill()
while any(not dhaga.dead for dhaga in late[:50]):
    time.sleep(0.001)

# all come to their end
gate.release()
for thread in threads:
    thread.join()
assert sorted(failed) == list(range(SILENT))
while any(not dhaga.dead for dhaga in blocked):
    if other_gate.locked():
        other_gate.release()
    time.sleep(0.001)
while any(not dhaga.dead for dhaga in late):
    time.sleep(0.001)
assert sorted(begun) == list(range(50, 100)), begun

# more calls than places, one after the other and all at once
results = []
dhagas = [dhagapatch.spawn(lambda n=n: results.append(dhagapatch.offload(pow, n, 2))) for n in range(1000)]
names = [dhagapatch.spawn(socket.getaddrinfo, "localhost", 80) for _ in range(500)]
while any(not dhaga.dead for dhaga in dhagas + names):
    time.sleep(0.001)
assert sorted(results) == [n * n for n in range(1000)]

# no native thread can be had: the call is made all the same
start = _real.start_new_thread


def refuse(*args):
    raise RuntimeError("can't start new thread")


while inspect.stats()["offload"]["idle"] < inspect.stats()["offload"]["threads"]:
    time.sleep(0.001)

pools = sys.modules["dhagapatch.core.offload"]
pools.forget_native_threads()  # as in a forked child
_real.start_new_thread = refuse
assert dhagapatch.offload(pow, 2, 5) == 32 and socket.getaddrinfo("localhost", 80)
_real.start_new_thread = start
