"""Objects whose `__buffer__` is written in Python (since 3.12): how often they are asked, and what is said if they refuse."""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable
from typing import Any

import tls_pairs


class Memory:
    """Three bytes, or an exception; it counts how often it is asked for them."""

    asked = 0

    def __init__(self, refusal: Exception | None) -> None:
        self.refusal = refusal
        self.data = bytearray(b"abc")

    def __buffer__(self, flags: int) -> memoryview:
        Memory.asked += 1
        if self.refusal is not None:
            raise self.refusal
        return memoryview(self.data)


def _try(t: Any, label: str, call: Callable[..., Any], *args: Any) -> None:
    Memory.asked = 0
    t.outcome(label, call, *args)
    t.note("asked", Memory.asked)


def _drain(fd: int) -> None:
    while select.select([fd], [], [], 0)[0]:
        os.read(fd, 4096)


REFUSALS: tuple[Exception | None, ...] = (None, KeyError("no"), TypeError("no"), BufferError("no"))


def case_descriptors(t: Any) -> None:
    reader, writer = os.pipe()
    for refusal in REFUSALS:
        memory = Memory(refusal)
        _try(t, "write", os.write, writer, memory)
        _try(t, "writev", os.writev, writer, [memory, memory])
        _try(t, "pwritev", os.pwritev, writer, [memory], -1)
        with open(writer, "wb", 0, closefd=False) as file:
            _try(t, "FileIO.write", file.write, memory)
        _drain(reader)
        os.write(writer, b"x" * 30)
        _try(t, "readv", os.readv, reader, [memory])
        _try(t, "preadv", os.preadv, reader, [memory], -1)
        with open(reader, "rb", 0, closefd=False) as file:
            _try(t, "FileIO.readinto", file.readinto, memory)
        _drain(reader)
    os.close(reader)
    os.close(writer)


def case_sockets(t: Any) -> None:
    left, right = socket.socketpair()
    for refusal in REFUSALS:
        memory = Memory(refusal)
        _try(t, "send", left.send, memory)
        _try(t, "sendall", left.sendall, memory)
        _try(t, "sendall with flags", left.sendall, memory, socket.MSG_NOSIGNAL)
        _try(t, "sendmsg", left.sendmsg, [memory, b"x"])
        _drain(right.fileno())
        left.send(b"x" * 30)
        _try(t, "recv_into", right.recv_into, memory)
        _try(t, "recv_into all", right.recv_into, memory, 2, socket.MSG_WAITALL)
        _try(t, "recvfrom_into all", right.recvfrom_into, memory, 2, socket.MSG_WAITALL)
        _try(t, "recvfrom_into", right.recvfrom_into, memory, 2)
        _try(t, "recvmsg_into", right.recvmsg_into, [memory])
        _drain(right.fileno())
    left.close()
    right.close()


def case_tls(t: Any) -> None:
    with tls_pairs.pair() as (left, right):
        for refusal in REFUSALS:
            memory = Memory(refusal)
            _try(t, "send", left.send, memory)
            _try(t, "sendall", left.sendall, memory)
            left.send(b"x" * 30)
            _try(t, "recv_into", right.recv_into, memory, 2)
            _try(t, "recv_into all", right.recv_into, memory)
            _try(t, "read", right.read, 2, memory)
            _try(t, "read none", right.read, 0, memory)
            while right.pending() or select.select([right], [], [], 0)[0]:
                right.recv(100)
            for wait in (None, 5):
                right.settimeout(wait)
                timer = threading.Timer(0.01, left.send, [b"later"])
                timer.start()
                _try(t, "a recv_into that waits", right.recv_into, memory, 2)
                timer.join()
                t.note(right.recv(100) in (b"later", b"ter"))
        right.settimeout(0.01)
        _try(t, "timeout", right.recv_into, Memory(None), 2)
