"""unpatch_all() leaves every module and class of the interpreter as it was, attribute by attribute, after use too."""

import concurrent.futures
import http.server
import importlib
import logging.handlers
import multiprocessing.synchronize
import queue
import sched
import selectors
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import types

import dhagapatch
from dhagapatch.monkey.table import TABLE

for row in TABLE:
    importlib.import_module(row.module)
# what the interpreter itself changes as it runs
MOVING = {
    ("sys", "last_type"), ("sys", "last_value"), ("sys", "last_traceback"), ("threading", "_counter"),
    ("threading", "_dangling"), ("threading", "_active"), ("threading", "_limbo"), ("threading", "_shutdown_locks"),
}  # fmt: skip


def snapshot():
    found = {}
    for module_name, module in list(sys.modules.items()):
        if module_name.partition(".")[0] in ("dhagapatch", "tornado", "wrapt") or module_name in ("__main__", "__mp_main__"):
            continue
        if not isinstance(module, types.ModuleType):
            continue
        for name, value in list(vars(module).items()):
            if name.startswith("__") or (module_name, name) in MOVING:
                continue
            found[module_name, name] = id(value)
            if isinstance(value, type) and value.__module__ == module_name:
                for key, member in list(vars(value).items()):
                    if key not in ("__abstractmethods__", "_abc_impl"):
                        found[module_name, f"{name}.{key}"] = id(member)
                found[module_name, f"{name} order"] = tuple(vars(value))
    return found


def use():
    """Have threads, sockets, queues, children and signals at work."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    client = socket.create_connection(server.server_address)
    client.settimeout(5)
    client.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
    assert client.recv(100).startswith(b"HTTP/1.0 200")
    client.close()
    server.shutdown()
    thread.join()
    server.server_close()
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda n: n + 1, range(5))) == [1, 2, 3, 4, 5]
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    signal.signal(signal.SIGUSR1, lambda *args: None)
    signal.raise_signal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    time.sleep(0.01)


http.server.SimpleHTTPRequestHandler.log_message = lambda *args: None
use()  # whatever the modules build on first use is there before the first look
handler = signal.getsignal(signal.SIGINT)
kept = queue.Queue(), threading.Condition(), logging.getLogger("kept"), sched.scheduler(), ssl.create_default_context()
before = snapshot()
for turn in range(2):
    dhagapatch.patch_all()
    patched = snapshot()
    changed = [key for key in before if before[key] != patched.get(key)]
    assert len(changed) > 50, changed
    if turn:
        use()
    dhagapatch.unpatch_all()
    after = snapshot()
    different = [key for key in before if before[key] != after.get(key)]
    assert not different, different
    assert not [key for key in after if key not in before], [key for key in after if key not in before]
assert signal.getsignal(signal.SIGINT) is handler
assert type(kept[0].mutex).__name__ == "lock" and type(kept[0].mutex) is type(threading.Lock())
native = []
thread = threading.Thread(target=lambda: native.append(threading.get_native_id()))
thread.start()
thread.join()
assert native != [threading.get_native_id()]
assert selectors.DefaultSelector and multiprocessing.synchronize.Lock
