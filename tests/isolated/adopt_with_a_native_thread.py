"""A local, a subclass of it and a SimpleQueue that a native thread uses are adopted with all that they hold."""

import _thread
import queue
import threading
import time


class Numbered(threading.local):
    def __init__(self, *args, **kwargs):
        self.args, self.kwargs = args, kwargs


plain = threading.local()
plain.name = "main"
numbered = Numbered(1, 2, three=3)
numbered.name = "main"
simple = queue.SimpleQueue()
simple.put("early")
patched, ready, ended = (_thread.allocate_lock() for _ in range(3))
for lock in (patched, ready, ended):
    lock.acquire()
seen = []


def native():
    plain.name = numbered.name = "native"
    ready.release()
    patched.acquire()
    seen.append((plain.name, numbered.name, numbered.args, numbered.kwargs))
    seen.append(simple.get())
    seen.append(simple.get())  # waits in the native queue until a dhaga puts something in
    simple.put("from the native thread")
    ended.release()


_thread.start_new_thread(native, ())
ready.acquire()

import dhagapatch

report = dhagapatch.patch_all()
assert not report.left, report
in_dhaga = []


def dhaga():
    in_dhaga.append((hasattr(plain, "name"), hasattr(numbered, "name"), numbered.args, numbered.kwargs))
    plain.name = "dhaga"
    time.sleep(0.05)
    in_dhaga.append(plain.name)
    simple.put("from a dhaga")


thread = threading.Thread(target=dhaga)
thread.start()
patched.release()
thread.join()
assert ended.acquire(timeout=5)
assert in_dhaga == [(False, False, (1, 2), {"three": 3}), "dhaga"], in_dhaga
assert seen == [("native", "native", (1, 2), {"three": 3}), "early", "from a dhaga"], seen
assert simple.get(timeout=5) == "from the native thread"
assert (plain.name, numbered.name, numbered.kwargs) == ("main", "main", {"three": 3})
