# run: -m dhagapatch --timeslice 0
"""Figures: by looking at any time, by counting while inspection is on; then dumps tell how long each has waited."""

import asyncio
import json
import os
import socket
import tempfile
import threading
import time

import dhagapatch
from dhagapatch import _real

assert dhagapatch.stats()["hubs"] == 0 and dhagapatch.stats()["dhagas"] == 0
time.sleep(0.001)
go_on = threading.Event()
left, right = socket.socketpair()
threads = [threading.Thread(target=go_on.wait, args=(60,)) for _ in range(3)] + [threading.Thread(target=left.recv, args=(1,))]
for thread in threads:
    thread.start()
busy = threading.Thread(target=dhagapatch.offload, args=(_real.sleep, 0.3))
busy.start()
time.sleep(0.05)
stats = dhagapatch.stats()
assert json.loads(json.dumps(stats)) == stats
assert (stats["hubs"], stats["dhagas"], stats["running"], stats["ready"], stats["parked"]) == (1, 6, 1, 0, 5), stats
assert stats["deadlines"] >= 3 and stats["descriptors"] == 1 and stats["resumed"] >= 5 and stats["counting"] is None, stats
assert stats["offload"] == {"calls": 1, "threads": 1, "idle": 0, "queued": 0}, stats
busy.join()
until = time.monotonic() + 5
while dhagapatch.stats()["offload"]["idle"] != 1:  # the native thread tells the result first, and is idle a moment later
    assert time.monotonic() < until, dhagapatch.stats()
    time.sleep(0.001)
hub = dhagapatch.get_hub()
assert "park" not in vars(hub) and "_poll" not in vars(hub.netpoll)  # nothing is exchanged

path = os.path.join(tempfile.mkdtemp(), "socket")
dhagapatch.patch_all(inspect=path)
time.sleep(0.01)  # the hub's next run
before = dhagapatch.stats()["counting"]
for _ in range(100):
    time.sleep(0.001)
t = time.monotonic()
while time.monotonic() - t < 0.15:  # a lag
    pass
time.sleep(0.001)
counting = dhagapatch.stats()["counting"]
assert 100 <= counting["switches"] - before["switches"] <= 130, (before, counting)
assert 100 <= counting["parks"] - before["parks"] <= 130 and counting["turns"] - before["turns"] >= 100
assert counting["polls"] - before["polls"] >= 100 and counting["seconds"] > before["seconds"]
assert 0.15 <= counting["longest_lag"] < 2 and sum(number for _, number in counting["lag"]) == counting["polls"], counting
assert [bound for bound, _ in counting["lag"]][-1] is None
assert sum(number for bound, number in counting["lag"] if bound is None or bound > 0.1) >= 1
time.sleep(0.1)
waiter = threading.Thread(target=go_on.wait, args=(60,), name="waiter")
waiter.start()
time.sleep(0.2)
state = next(one for one in dhagapatch.dump().dhagas if one.name == "waiter")
assert 0.2 <= state.waited < 5 and ", since 0." in str(dhagapatch.dump()), state


# beside a loop, and in another hub
async def beside():
    await asyncio.sleep(0.01)
    return dhagapatch.stats()


assert dhagapatch.await_(beside())["counting"]["polls"] > counting["polls"]
done = _real.allocate_lock()
done.acquire()
told = []


def second():
    dhagapatch.get_hub()
    before = dhagapatch.stats()["counting"]["switches"]
    for _ in range(50):
        time.sleep(0.001)
    told.append(dhagapatch.stats()["counting"]["switches"] - before)
    done.release()


_real.start_new_thread(second, ())
dhagapatch.offload(done.acquire)
assert told[0] >= 49, told  # the turn that runs is not counted yet
time.sleep(0.1)
# the figures of a hub that is no more stay
ended = dhagapatch.stats()
assert ended["hubs"] == 1 and ended["counting"]["switches"] - counting["switches"] >= 49, ended

# a forked child counts for itself
reader, writer = os.pipe()
child = os.fork()
if not child:
    time.sleep(0.01)
    for _ in range(10):
        time.sleep(0.001)
    told = dhagapatch.stats()
    os.write(writer, repr((told["pid"] == os.getpid(), 8 <= told["counting"]["switches"] <= 20, told["dhagas"])).encode())
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert os.read(reader, 100) == b"(True, True, 1)"

go_on.set()
right.send(b"x")
for thread in (*threads, waiter):
    thread.join()
dhagapatch.patch_all(inspect=False)
assert "park" not in vars(hub) and "_poll" not in vars(hub.netpoll) and not os.path.exists(path)
time.sleep(0.01)
assert dhagapatch.stats()["counting"] is None
