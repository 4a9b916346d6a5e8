# run: -m dhagapatch
"""A dump names each dhaga, its state, what it waits for and where it stands; the dictionary is plain."""

import json
import os
import queue
import socket
import sys
import tempfile
import threading
import time

import dhagapatch

rlock, lock, condition = threading.RLock(), threading.Lock(), threading.Condition()
lock.acquire()
rlock.acquire()
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
path = os.path.join(tempfile.mkdtemp(), "socket")
unix = socket.socket(socket.AF_UNIX)
unix.bind(path)
unix.listen()
reader, writer = os.pipe()
go_on = threading.Event()


def takes_rlock():
    with rlock:
        pass


def offloads():
    dhagapatch.offload(time.sleep, 0.5)


def full():
    while True:
        os.write(writer, b"x" * 65536)


def joins():
    threads["takes_rlock"].join(60)


def waits_in_condition():
    with condition:
        condition.wait(30)


CASES = {
    "takes_rlock": (takes_rlock, "lock", "_thread.RLock object owner=", "held by MainThread"),
    "takes_lock": (lambda: lock.acquire(timeout=9), "lock", "<locked _thread.lock object"),
    "accepts": (lambda: listener.accept(), "descriptor", f"descriptor {listener.fileno()} to be readable"),
    "accepts_unix": (unix.accept, "descriptor", f"descriptor {unix.fileno()} to be readable"),
    "receives": (lambda: client.recv(1), "descriptor", f"descriptor {client.fileno()} to be readable"),
    "reads_pipe": (lambda: os.read(reader, 1), "descriptor", f"descriptor {reader} to be readable"),
    "joins": (joins, "end", "the end of takes_rlock"),
    "gets": (queue.SimpleQueue().get, "lock", "SimpleQueue"),
    "waits_in_condition": (waits_in_condition, "condition", "a Condition to be notified"),
    "sleeps": (lambda: time.sleep(77), "time", "a deadline"),
    "offloads": (offloads, "call", "sleep() on a native thread"),
}
threads = {name: threading.Thread(target=case[0], name=name, daemon=True) for name, case in CASES.items()}
for thread in threads.values():
    thread.start()
time.sleep(0.05)
not_begun = threading.Thread(target=go_on.wait, name="not_begun", daemon=True)
not_begun._started.wait = lambda: None  # what `start` waits for
not_begun.start()
before = socket.getdefaulttimeout()
dump = dhagapatch.dump()
text, plain = str(dump), dump.as_dict()
assert json.loads(json.dumps(plain)) == plain
assert plain["pid"] == os.getpid() and len(plain["hubs"]) == 1
hub = plain["hubs"][0]
assert hub["state"] == "runs a dhaga" and hub["ready"] == 1 and hub["offloaded"] == 1 and hub["deadlines"] >= 3, hub
by_name = {one["name"]: one for one in hub["dhagas"]}
assert by_name.keys() == {"MainThread", "not_begun", *CASES}
main = by_name["MainThread"]
assert (main["state"], main["main"], main["waits_for"], main["ident"]) == ("running", True, None, threading.get_ident())
assert main["stack"][-1]["file"] == __file__ if "__file__" in globals() else True
assert main["stack"][-1]["function"] == "<module>"
assert by_name["not_begun"]["state"] == "ready"
for name, (_, kind, *words) in CASES.items():
    one = by_name[name]
    assert one["state"] == "parked" and one["ident"] == threads[name].ident and not one["main"], one
    assert one["waits_for"]["kind"] == kind, one
    assert all(word in one["waits_for"]["text"] for word in words), one
    assert one["waited"] is None  # nobody times waits
    functions = [place["function"] for place in one["stack"]]
    assert functions[0] == "Thread.run" and not any(os.sep + "dhagapatch" + os.sep in place["file"] for place in one["stack"])
    assert f"dhaga {name} {one['ident']}: parked, waits for {one['waits_for']['text']}" in text
assert by_name["takes_rlock"]["stack"][-1]["function"] == "takes_rlock"
assert by_name["takes_rlock"]["waits_for"]["owner"] == main["ident"]
assert by_name["takes_rlock"]["waits_for"]["owner_name"] == "MainThread"
assert by_name["joins"]["waits_for"]["owner"] == threads["takes_rlock"].ident
port = listener.getsockname()[1]
assert by_name["receives"]["waits_for"]["peer"] == f"peer 127.0.0.1:{port}"
assert by_name["accepts"]["waits_for"]["peer"] == f"at 127.0.0.1:{port}"
assert by_name["accepts_unix"]["waits_for"]["peer"] == f"at {path}"
assert by_name["reads_pipe"]["waits_for"]["peer"] is None and by_name["reads_pipe"]["waits_for"]["fd"] == reader
assert 70 < by_name["sleeps"]["waits_for"]["left"] < 77 and by_name["gets"]["waits_for"]["left"] is None
assert 0 < by_name["takes_lock"]["waits_for"]["left"] < 9
assert "(peer 127.0.0.1:" in text and "s more" in text and ", in takes_rlock" in text
natives = plain["threads"]
assert [one["own"] for one in natives if not one["own"]] == [], natives
assert sum(one["own"] for one in natives) >= 1

# a default timeout: a look must not make a socket non-blocking for everybody; and the descriptors stay open
assert os.get_blocking(client.fileno())
socket.setdefaulttimeout(5)
waits = {one.name: one.waits_for for one in dhagapatch.dump().dhagas}
assert waits["receives"].peer is None and os.get_blocking(client.fileno())
socket.setdefaulttimeout(None)
server.send(b"x")
threads["receives"].join(5)
assert not threads["receives"].is_alive()
assert "receives" not in {one.name for one in dhagapatch.dump().dhagas}
assert "dhagapatch.inspect.snapshot" in sys.modules

# a library's greenlets and what it waits for last: a dump never fails while everything changes
stop = threading.Event()


def churns():
    while not stop.is_set():
        pair = socket.socketpair()
        thread = threading.Thread(target=pair[0].recv, args=(1,))
        thread.start()
        pair[1].send(b"x")
        thread.join()
        for one in pair:
            one.close()


from dhagapatch import _real

errors, dumps = [], []


def looks():
    try:
        while not stop.is_set():
            dumps.append(len(str(dhagapatch.dump())))
    except BaseException as error:
        errors.append(error)


churners = [threading.Thread(target=churns) for _ in range(5)]
for churner in churners:
    churner.start()
_real.start_new_thread(looks, ())
time.sleep(1)
stop.set()
for churner in churners:
    churner.join()
time.sleep(0.05)
assert not errors and len(dumps) > 3, (errors, len(dumps))
os.remove(path)
