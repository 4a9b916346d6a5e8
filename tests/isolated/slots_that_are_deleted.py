# run: -m dhagapatch
"""Whatever of the runtime's objects somebody deletes, or sets to what it can't be: an exception may come of it, never a crash."""

import contextlib
import itertools
import os
import signal
import socket
import threading
import time

import greenlet

from dhagapatch.core.hub import get_hub

CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE}
WAITER = ("hub", "deadline", "interrupts", "parked", "parks", "timed_out", "timer_at", "waiting")
SLOTS = {
    "main": (*(f"dhaga_{name}" for name in WAITER), "_dhagapatch_token"),
    "running": (*(f"dhaga_{name}" for name in WAITER), "_dhagapatch_token", "call"),
    "waiting": (*(f"dhaga_{name}" for name in WAITER), "_dhagapatch_token", "call"),
    "hub": ("abandoned", "counted", "deadlines", "entries", "fuel", "greenlet", "_left", "netpoll", "_notified", "_outside",
            "runq", "waker", "carries"),
    "netpoll": ("_lent", "loop_work", "on_busy", "on_idle", "one_shot", "poller"),
    "entry": ("fd", "limits", "readable", "readers", "registered", "sticky", "stream", "writable", "writers"),
    "lock": ("_mutex_held", "_waiters"),
    "rlock": ("_mutex_held", "_waiters", "_mutex_count", "_mutex_owner"),
    "parker": ("granted", "greenlet", "hub", "owner", "urgent", "woken"),
}  # fmt: skip
DELETED = object()
VALUES = (DELETED, None, 5, [5], "text")


def mischief(kind, name, value):
    lock, rlock = threading.Lock(), threading.RLock()
    near, far = socket.socketpair()
    where = {}

    def hurt():
        if value is DELETED:
            delattr(where[kind], name)
        else:
            setattr(where[kind], name, value)

    def reads():
        where["running"] = greenlet.getcurrent()
        near.recv(1)
        if kind == "running":
            hurt()
        for _ in range(2):
            with contextlib.suppress(Exception):
                near.recv(1)

    def takes(one):
        with contextlib.suppress(Exception):
            one.acquire(timeout=0.003)
            one.release()

    for one in (lock, rlock):
        one.acquire()
    for target, args in ((reads, ()), (takes, (lock,)), (takes, (rlock,))):
        threading.Thread(target=target, args=args, daemon=True).start()
    time.sleep(0.001)
    hub = get_hub()
    where |= {
        "main": greenlet.getcurrent(), "hub": hub, "netpoll": hub.netpoll, "entry": hub.entries[near.fileno()], "lock": lock,
        "rlock": rlock, "waiting": where["running"], "parker": lock._waiters[0],
    }  # fmt: skip
    if kind != "running":
        hurt()
    near.settimeout(0.002)
    acts = (
        lambda: far.send(b"xx"), lambda: time.sleep(0.001), lock.release, rlock.release, lambda: time.sleep(0),
        lambda: near.recv(5), lambda: near.recv_into(bytearray(3)), lambda: lock.acquire(timeout=0.001),
        lambda: rlock.acquire(timeout=0.001), lock.release, rlock.release, rlock.__enter__, rlock.__enter__,
        lambda: rlock.__exit__(None, None, None), lock._is_owned, threading.get_ident, lambda: time.sleep(0.001),
        lambda: repr(hub.entries), threading.Lock,
    )  # fmt: skip
    for act in acts:
        with contextlib.suppress(Exception):
            act()


def in_child(*case):
    child = os.fork()
    if child == 0:
        signal.setitimer(signal.ITIMER_REAL, 0.15)  # natively it may wait for ever, too
        os.dup2(nothing, 2)
        with contextlib.suppress(BaseException):
            mischief(*case)
        os._exit(0)
    return os.waitpid(child, 0)[1]


nothing = os.open(os.devnull, os.O_WRONLY)
signal.signal(signal.SIGALRM, signal.SIG_DFL)
crashed = []
for kind, value in itertools.product(SLOTS, VALUES):
    for name in SLOTS[kind]:
        status = in_child(kind, name, value)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) in CRASHES:
            crashed.append((kind, name, "deleted" if value is DELETED else value))
assert not crashed, crashed
