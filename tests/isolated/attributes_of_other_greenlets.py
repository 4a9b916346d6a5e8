# run: -m dhagapatch
"""A greenlet that a library makes may have attributes of any name: what the runtime puts there has names of its own."""

import socket
import threading
import time

import greenlet

NAMES = (
    "hub", "deadline", "interrupts", "parked", "parks", "timed_out", "timer_at", "waiting", "leads", "scope", "since", "name",
    "call", "locals", "again", "on_end", "token", "switch_count",
)  # fmt: skip


class Subclass(greenlet.greenlet):
    """With attributes of the class, too."""

    hub = parked = parks = "of the class"


near, far = socket.socketpair()
lock, rlock, event = threading.Lock(), threading.RLock(), threading.Event()
local = threading.local()
done = []


def waits():
    for value in ("text", None, 7, [], object):
        me = greenlet.getcurrent()
        for name in NAMES:
            setattr(me, name, value)
        time.sleep(0.0005)
        with lock, rlock, rlock:
            time.sleep(0)
            assert not lock.acquire(timeout=0.0005)
        event.wait()
        far.sendall(b"12")
        assert near.recv(1) + near.recv(1) == b"12"
        near.settimeout(0.0005)
        try:
            near.recv(1)
            raise AssertionError("nothing was sent")
        except TimeoutError:
            near.settimeout(None)
        local.value = value
        assert threading.get_ident() == threading.current_thread().ident
        assert local.value is value
        for name in NAMES:
            assert getattr(me, name) is value, name
            delattr(me, name)
        time.sleep(0)
    ours = {name for name in vars(greenlet.getcurrent()) if not name.startswith(("dhaga_", "_dhagapatch_"))}
    assert not ours, ours
    done.append(1)


def in_thread(kind):
    if kind is None:
        waits()
    else:
        kind(waits).switch()


waits_for = threading.Timer(0.001, event.set)
waits_for.start()
for kind in (greenlet.greenlet, Subclass):
    kind(waits).switch()  # of the main flow
waits()
for kind in (greenlet.greenlet, Subclass, greenlet.greenlet):
    thread = threading.Thread(target=in_thread, args=(kind,))
    thread.start()
    thread.join(10)
assert len(done) == 6, done
