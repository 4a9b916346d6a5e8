"""A descriptor's mode is changed while somebody waits for it: the wait goes on."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

LIMIT = 8.0  # seconds, for what does not happen
TRIES = 6  # the reader may not have got as far, on a busy machine

Ends = tuple[Any, Any]
_readinto: Any = getattr(os, "readinto", None) or (lambda fd, buffer: os.readv(fd, [buffer]))  # since 3.14


def _by_os(end: Any) -> None:
    os.set_blocking(end if isinstance(end, int) else end.fileno(), False)


def _by_fcntl(end: Any) -> None:
    fd = end if isinstance(end, int) else end.fileno()
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_NONBLOCK)


Call = Callable[[Any], Any]


def _once(make: Callable[[], Ends], wait: Call, change: Call, feed: Call) -> Any:
    """What `wait` gives, if it waited on."""
    near, far = make()
    outcome: list[Any] = []
    begun = threading.Event()

    def run() -> None:
        begun.set()
        try:
            outcome.append(wait(near))
        except BaseException as error:
            outcome.append(repr(error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    begun.wait(LIMIT)
    time.sleep(0.03)
    change(near)
    time.sleep(0.03)
    early = list(outcome)
    with contextlib.suppress(OSError):
        feed(far)
    thread.join(LIMIT)
    for end in (near, far):
        with contextlib.suppress(OSError):
            os.close(end) if isinstance(end, int) else end.close()
    return f"ended early: {early}" if early else outcome


def _waits_on(t: Any, label: str, *how: Any) -> None:
    for _ in range(TRIES):
        outcome = _once(*how)
        if not isinstance(outcome, str):
            break
        time.sleep(0.05)
    t.note(label, outcome)


def _file(mode: str, buffering: int, call: Callable[[Any], Any]) -> Callable[[int], Any]:
    return lambda fd: call(open(fd, mode, buffering, closefd=False))


def case_reads_of_a_pipe(t: Any) -> None:
    for change in (_by_os, _by_fcntl):
        for label, wait in (
            ("os.read", lambda fd: os.read(fd, 9)),
            ("os.readv", lambda fd: os.readv(fd, [bytearray(9)])),
            ("os.readinto", lambda fd: _readinto(fd, bytearray(9))),
            ("raw read", _file("rb", 0, lambda file: file.read(9))),
            ("raw readinto", _file("rb", 0, lambda file: file.readinto(bytearray(9)))),
            ("read", _file("rb", -1, lambda file: file.read(1))),
            ("read1", _file("rb", -1, lambda file: file.read1(9))),
            ("readline", _file("rb", -1, lambda file: file.readline())),
            ("text", _file("r", -1, lambda file: file.readline())),
        ):
            _waits_on(t, f"{label} {change.__name__}", os.pipe, wait, change, lambda fd: os.write(fd, b"abc\n"))


def _full_pipe() -> Ends:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    os.set_blocking(writer, True)
    return writer, reader


def case_writes_into_a_full_pipe(t: Any) -> None:
    for change in (_by_os, _by_fcntl):
        for label, wait in (
            ("os.write", lambda fd: os.write(fd, b"abc")),
            ("os.writev", lambda fd: os.writev(fd, [b"abc", b"d"])),
            ("raw write", _file("wb", 0, lambda file: file.write(b"abc"))),
        ):
            _waits_on(t, f"{label} {change.__name__}", _full_pipe, wait, change, lambda fd: os.read(fd, 1 << 16))


def _with_timeout(sock: socket.socket) -> Any:
    sock.settimeout(LIMIT)
    return sock.recv(9)


def case_receives(t: Any) -> None:
    changes: tuple[Call, ...] = (
        _by_os, _by_fcntl, lambda sock: sock.setblocking(False), lambda sock: sock.settimeout(0.001),
        lambda sock: sock.settimeout(0),
    )  # fmt: skip
    for number, change in enumerate(changes):
        for label, wait in (
            ("recv", lambda sock: sock.recv(9)),
            ("recv_into", lambda sock: sock.recv_into(bytearray(9))),
            ("recvfrom", lambda sock: sock.recvfrom(9)[0]),
            ("recvmsg", lambda sock: sock.recvmsg(9)[0]),
            ("with a timeout", _with_timeout),
            ("os.read", lambda sock: os.read(sock.fileno(), 9)),
        ):
            _waits_on(t, f"{label} {number}", socket.socketpair, wait, change, lambda sock: sock.send(b"abc\n"))


class _Comer(socket.socket):
    """It comes when it is told to."""

    address: Any = None

    def come(self) -> None:
        self.settimeout(LIMIT)
        self.connect(self.address)


def _listener() -> Ends:
    listener, comer = socket.create_server(("127.0.0.1", 0)), _Comer()
    comer.address = listener.getsockname()
    return listener, comer


def case_accepts(t: Any) -> None:
    for number, change in enumerate((_by_os, lambda sock: sock.setblocking(False))):
        _waits_on(t, f"accept {number}", _listener, lambda sock: sock.accept()[0].close(), change, lambda comer: comer.come())


def _seconds(seconds: float) -> bytes:
    return struct.pack("@ll", int(seconds), int(seconds % 1 * 1e6))


def case_changes_after_the_first_wait(t: Any) -> None:
    """What is set between two waits counts at the second: the kernel's own timeouts, and the mode, behind the socket's back."""
    for change in ("timeout", "fcntl", "os"):
        near, far = socket.socketpair()
        with near, far:
            feeder = threading.Timer(0.01, far.send, (b"x",))
            feeder.start()
            t.note(near.recv(9))  # a wait without an end, of which everything is known now
            feeder.join()
            if change == "timeout":
                near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _seconds(0.02))
            else:
                (_by_fcntl if change == "fcntl" else _by_os)(near)
            late = threading.Timer(LIMIT / 2, far.send, (b"late",))  # else it would hang
            late.start()
            t.outcome(change, near.recv, 9)
            late.cancel()
            late.join()
            if change == "timeout":
                near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _seconds(0))
            else:
                os.set_blocking(near.fileno(), True)
            feeder = threading.Timer(0.03, far.send, (b"y",))
            feeder.start()
            t.outcome("as before", near.recv, 9)
            feeder.join()


def case_modes_after_connections(t: Any) -> None:
    """Whoever else has the descriptor finds it in the mode that it had."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.socket()
        connecting = threading.Timer(0.02, client.connect, (listener.getsockname(),))
        connecting.start()
        accepted, _ = listener.accept()
        connecting.join()
        for end in (listener, client, accepted):
            t.note(os.get_blocking(end.fileno()), end.gettimeout())
            end.close()


def case_another_object_of_a_socket_that_is_waited_for(t: Any) -> None:
    near, far = socket.socketpair()
    waiter = threading.Thread(target=lambda: t.outcome("recv", near.recv, 9))
    waiter.start()
    time.sleep(0.01)
    other = socket.socket(fileno=near.fileno())
    late = threading.Timer(0.01, far.send, (b"x",))
    late.start()
    waiter.join()
    other.detach()
    near.close()
    far.close()
