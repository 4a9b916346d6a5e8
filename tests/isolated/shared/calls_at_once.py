"""A call for each row of the table that can come through at once, and that a loop can make again and again."""

from __future__ import annotations

import fcntl
import os
import queue
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

__all__ = ["CALLS", "LOCKS", "close"]

left, right = socket.socketpair()
left.send(b"x")
datagrams = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(100)
reader, writer = os.pipe()
os.write(writer, b"x" * 30000)
into, out = os.pipe()
poller, epoll = select.poll(), select.epoll()
poller.register(right, select.POLLIN)
epoll.register(right, select.EPOLLIN)
file = os.open(sys.executable, os.O_RDONLY)
null = os.open(os.devnull, os.O_RDWR)
memory = os.memfd_create("memory") if hasattr(os, "memfd_create") else os.dup(file)
jobs: queue.SimpleQueue[int] = queue.SimpleQueue()
device = open(os.devnull, "wb", 0)  # noqa: SIM115
lock, rlock = threading.Lock(), threading.RLock()
count = os.eventfd(1 << 30, os.EFD_SEMAPHORE) if hasattr(os, "eventfd") else -1
PEEK = socket.MSG_PEEK


def connected(call: Callable[..., Any]) -> Callable[[], None]:
    def connect() -> None:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # else its port is kept for a minute
            call(sock, listener.getsockname())
            listener.accept()[0].close()

    return connect


def bound() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))


CALLS: dict[str, Callable[[], Any]] = {
    "socket.socket.recv": lambda: right.recv(1, PEEK),
    "socket.socket.recv_into": lambda: right.recv_into(bytearray(1), 1, PEEK),
    "socket.socket.recvfrom": lambda: right.recvfrom(1, PEEK),
    "socket.socket.recvfrom_into": lambda: right.recvfrom_into(bytearray(1), 1, PEEK),
    "socket.socket.recvmsg": lambda: right.recvmsg(1, 0, PEEK),
    "socket.socket.recvmsg_into": lambda: right.recvmsg_into([bytearray(1)], 0, PEEK),
    "socket.socket.send": lambda: (datagrams[0].send(b"x"), os.read(datagrams[1].fileno(), 1)),
    "socket.socket.sendall": lambda: (datagrams[0].sendall(b"x"), os.read(datagrams[1].fileno(), 1)),
    "socket.socket.sendmsg": lambda: (datagrams[0].sendmsg([b"x"]), os.read(datagrams[1].fileno(), 1)),
    "socket.socket.connect": connected(socket.socket.connect),
    "socket.socket.connect_ex": connected(socket.socket.connect_ex),
    "socket.socket._accept": connected(socket.socket.connect),
    "socket.socket.bind": bound,
    "select.select": lambda: select.select([right], [], [], 1),
    "select.poll": lambda: poller.poll(1),
    "select.epoll": lambda: epoll.poll(1),
    "posix.open": lambda: os.close(os.open(os.devnull, os.O_RDONLY)),
    "posix.close": lambda: os.close(os.dup(null)),
    "posix.read": lambda: os.read(file, 1) or os.lseek(file, 0, 0),
    "posix.readv": lambda: os.readv(file, [bytearray(1)]) or os.lseek(file, 0, 0),
    "posix.readinto": lambda: os.readinto(file, bytearray(1)) or os.lseek(file, 0, 0),
    "posix.preadv": lambda: os.preadv(file, [bytearray(1)], 0),
    "posix.write": lambda: os.write(null, b"x"),
    "posix.writev": lambda: os.writev(null, [b"x"]),
    "posix.pwritev": lambda: os.pwritev(null, [b"x"], 0),
    "posix.sendfile": lambda: os.sendfile(null, file, 0, 1),
    "posix.splice": lambda: (os.splice(reader, out, 1), os.write(writer, os.read(into, 1))),
    "posix.eventfd_read": lambda: os.eventfd_read(count),
    "posix.eventfd_write": lambda: os.eventfd_write(count, 1),
    "posix.lockf": lambda: os.lockf(null, os.F_TEST, 0),
    "posix.sched_yield": os.sched_yield,
    "posix.set_blocking": lambda: os.set_blocking(null, True),
    "posix.closerange": lambda: os.closerange(900, 901),
    "posix.fsync": lambda: os.fsync(memory),
    "posix.fdatasync": lambda: os.fdatasync(memory),
    "posix.dup2": lambda: os.dup2(null, 900),
    "fcntl.flock": lambda: fcntl.flock(file, fcntl.LOCK_SH),
    "fcntl.lockf": lambda: fcntl.lockf(file, fcntl.LOCK_SH),
    "fcntl.fcntl": lambda: fcntl.fcntl(file, fcntl.F_GETFL),
    "time.sleep": lambda: time.sleep(0),
    "_signal.raise_signal": lambda: signal.raise_signal(signal.SIGURG),
    "_signal.pthread_kill": lambda: signal.pthread_kill(threading.get_ident(), 0),
    "_signal.getsignal": lambda: signal.getsignal(signal.SIGURG),
    "_signal.signal": lambda: signal.signal(signal.SIGURG, signal.SIG_IGN),
    "_signal.pthread_sigmask": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, []),
    "_queue.SimpleQueue": lambda: (jobs.put(1), jobs.get()),
    "threading.Event.is_set": threading.Event().is_set,
    "threading.active_count": threading.active_count,
    "threading.enumerate": threading.enumerate,
    "builtins.open": lambda: open(os.devnull).close(),
    "builtins.open, /dev/null": lambda: device.write(b"x"),
}
for late in ("splice", "readinto"):
    if not hasattr(os, late):
        del CALLS[f"posix.{late}"]
LOCKS = {"_thread.allocate_lock": lock, "_thread.RLock": rlock}


def close() -> None:
    """Close the descriptors that no object owns."""
    for fd in (reader, writer, into, out, file, null, memory):
        os.close(fd)
