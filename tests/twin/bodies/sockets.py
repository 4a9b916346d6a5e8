"""TCP sockets: connecting, accepting, receiving, sending, shutting down, flags."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import select
import socket
import struct
import threading
import time
from array import array
from socket import create_connection, create_server
from typing import Any

from network import SHORT, Task, closed_port, fill, let_it_block, receive_all, tcp_pair

module_left, module_right = socket.socketpair()
module_timed, module_timed_peer = socket.socketpair()
module_timed.settimeout(SHORT)
module_listener = create_server(("127.0.0.1", 0))


def case_sockets_made_early(t: Any) -> None:
    task = Task(module_left.recv, 100)
    let_it_block()
    module_right.sendall(b"early")
    task.note(t, "recv")
    t.outcome("timed", module_timed.recv, 1)
    t.note(module_timed.gettimeout(), module_timed.timeout, module_left.gettimeout())
    module_timed_peer.send(b"x")
    t.outcome("timed", module_timed.recv, 1)
    task = Task(module_listener.accept)
    let_it_block()
    with create_connection(module_listener.getsockname()) as client:
        peer, address = task.join()
        t.note(address == client.getsockname(), peer.gettimeout(), peer)
        peer.close()


_RECEIVERS: dict[str, Any] = {
    "recv": lambda sock, buffer: sock.recv(100),
    "recv little": lambda sock, buffer: (sock.recv(2), sock.recv(100)),
    "recv_into": lambda sock, buffer: sock.recv_into(buffer),
    "recv_into nbytes": lambda sock, buffer: sock.recv_into(buffer, nbytes=3, flags=0),
    "recv_into view": lambda sock, buffer: sock.recv_into(memoryview(buffer)[2:4]),
    "recvfrom": lambda sock, buffer: sock.recvfrom(100),
    "recvfrom flags": lambda sock, buffer: sock.recvfrom(100, socket.MSG_PEEK),
    "recvfrom_into": lambda sock, buffer: sock.recvfrom_into(buffer),
    "recvfrom_into nbytes": lambda sock, buffer: sock.recvfrom_into(buffer, 3, flags=0),
    "recvmsg": lambda sock, buffer: sock.recvmsg(100),
    "recvmsg peek": lambda sock, buffer: sock.recvmsg(100, 10, socket.MSG_PEEK),
    "recvmsg_into": lambda sock, buffer: sock.recvmsg_into([memoryview(buffer)[:3], memoryview(buffer)[5:]]),
    "recvmsg_into generator": lambda sock, buffer: sock.recvmsg_into(part for part in (buffer,)),
    "peek": lambda sock, buffer: (sock.recv(100, socket.MSG_PEEK), sock.recv(100)),
    "waitall": lambda sock, buffer: sock.recv(5, socket.MSG_WAITALL),
    "waitall into": lambda sock, buffer: sock.recv_into(buffer, 5, socket.MSG_WAITALL),
    "fp": lambda sock, buffer: sock.makefile("rb").read(4),
}


def case_receiving_waits(t: Any) -> None:
    for name, call in _RECEIVERS.items():
        for timeout in (None, 5):
            left, right = tcp_pair()
            left.settimeout(timeout)
            buffer = bytearray(8)
            task = Task(call, left, buffer)
            let_it_block()
            right.sendall(b"hello")
            task.note(t, name)
            t.note(buffer)
            left.close()
            right.close()


def case_receiving_runs_out_of_time(t: Any) -> None:
    left, right = tcp_pair()
    left.settimeout(SHORT)
    for name, call in _RECEIVERS.items():
        t.outcome(name, call, left, bytearray(8))
    t.note(left.gettimeout())
    right.send(b"late")
    t.outcome("then", left.recv, 10)
    left.settimeout(None)
    right.close()
    for name, call in _RECEIVERS.items():
        t.outcome(name + " at the end", call, left, bytearray(8))


def case_receiving_sizes_that_are_none(t: Any) -> None:
    """Also where nothing is there to be read, which is known by then."""
    class Index:
        def __index__(self) -> int:
            return 20

    left, right = tcp_pair()
    left.settimeout(SHORT)
    with contextlib.suppress(TimeoutError):
        left.recv(1)
    for size in (1 << 70, -1, "a", None, 1.5, True, Index()):
        t.outcome(f"recv {type(size).__name__}", left.recv, size)
    right.sendall(b"some")
    t.outcome("recv", left.recv, Index())
    left.close()
    right.close()


def case_receiving_and_sending_of_any_size(t: Any) -> None:
    """Twice each: at first it is not known whether there is something to be read; then it is."""
    left, right = tcp_pair()
    text = bytes(range(251)) * 300
    for size in (1, 2, 250, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 70_000):
        for turn in range(2):
            room = bytearray(size + 5)
            for send, data in ((right.send, bytearray(text)), (right.send, memoryview(text)), (right.sendall, text)):
                for receive in (
                    lambda size=size: left.recv(size), lambda room=room: bytes(room[: left.recv_into(room)]),
                    lambda room=room: bytes(room[: left.recv_into(memoryview(room))]),
                ):  # fmt: skip
                    task = Task(receive)
                    if size == 1 and not turn:
                        let_it_block()
                    sent = send(data[:size])
                    got = task.join()
                    while len(got) < (size if sent is None else sent):
                        got += left.recv(size)
                    t.note(size, bytes(data[: len(got)]) == got, len(got) == size)
    left.setblocking(False)
    for size in (1, 65_536, 65_537):
        t.outcome(f"nothing of {size}", left.recv, size)
        t.outcome(f"nothing into {size}", left.recv_into, bytearray(size))
    t.outcome("into nothing", left.recv_into, bytearray())
    left.close()
    right.close()


def case_calls_after_the_peer_has_gone(t: Any) -> None:
    for size in (10, 70_000):
        for name, call in (
            ("recv", lambda sock, size=size: sock.recv(size)),
            ("recv_into", lambda sock, size=size: sock.recv_into(bytearray(size))),
            ("send", lambda sock, size=size: sock.send(b"x" * size)),
            ("sendall", lambda sock, size=size: sock.sendall(b"x" * size)),
            ("send array", lambda sock, size=size: sock.send(bytearray(size))),
        ):  # fmt: skip
            left, right = tcp_pair()
            right.sendall(b"unread")
            left.sendall(b"unread")
            left.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            left.close()
            select.select([right], [], [], 5)
            for turn in ("first", "then", "then"):
                t.outcome(f"{name} {size} {turn}", call, right)
            right.close()
            t.outcome(f"{name} {size} closed", call, right)


def case_a_buffer_keeps_its_size_during_a_wait(t: Any) -> None:
    """Twice each: at first it is not known that nothing is there; then it is."""
    left, right = tcp_pair()
    view = memoryview
    receivers: dict[str, Any] = {
        "recv_into": lambda room: left.recv_into(room), "view": lambda room: left.recv_into(view(room)[1:]),
        "nbytes": lambda room: left.recv_into(room, 3), "recvfrom_into": lambda room: left.recvfrom_into(room),
        "recvmsg_into": lambda room: left.recvmsg_into([bytearray(1), room]),
    }  # fmt: skip
    for name, call in receivers.items():
        for size in (5, 70_000):
            room = bytearray(size)
            task = Task(call, room)
            let_it_block()
            t.outcome(f"{name} {size} waits", room.append, 1)
            right.sendall(b"12345")
            task.note(t, name)
            t.outcome(f"{name} {size} is done", room.append, 1)
            left.settimeout(0.01)
            with contextlib.suppress(TimeoutError):
                left.recv(5)
            t.outcome(f"{name} {size} runs out of time", call, room)
            t.outcome(f"{name} {size} is free again", room.append, 1)
            left.settimeout(None)
    senders: dict[str, Any] = {
        "send": lambda data: left.send(data), "sendall": lambda data: left.sendall(data),
        "sendto": lambda data: left.sendto(data, right.getsockname()), "sendmsg": lambda data: left.sendmsg([b"", data]),
    }  # fmt: skip
    for name, call in senders.items():
        for _ in range(2):
            total = 0
            for _ in range(20):
                total += fill(left) + 10
                data = bytearray(10)
                task = Task(call, data)
                let_it_block()
                if task.thread.is_alive():
                    break  # else the kernel has moved some to the other side meanwhile, and it went into the room
            t.outcome(f"{name} waits", data.append, 1)
            while total > 0:
                total -= len(right.recv(total))
            task.note(t, name)
            t.outcome(f"{name} is done", data.append, 1)
    fill(left)
    left.settimeout(0.01)
    for wrong in ("text", None, view(b"01234567")[::2]):
        t.outcome("send", left.send, wrong)
        t.outcome("sendall", left.sendall, wrong)
    with contextlib.suppress(TimeoutError):
        left.recv(1)
    for name, call in receivers.items():
        t.outcome(f"{name} of bytes", call, b"abc")
    t.outcome("too many", left.recv_into, bytearray(3), 4)
    t.outcome("fewer than none", left.recv_into, bytearray(3), -4)


def case_receiving_without_blocking(t: Any) -> None:
    left, right = tcp_pair()
    left.setblocking(False)
    for name, call in _RECEIVERS.items():
        if name != "fp":
            t.outcome(name, call, left, bytearray(8))
    right.send(b"data")
    select.select([left], [], [])
    t.outcome("then", left.recv, 10)
    t.outcome("again", left.recv, 10)
    t.outcome("dontwait", right.recv, 10, socket.MSG_DONTWAIT)
    t.outcome("dontwait", right.recvfrom, 10, socket.MSG_DONTWAIT)
    t.outcome("dontwait", right.recvmsg, 10, 0, socket.MSG_DONTWAIT)
    right.settimeout(SHORT)
    left.close()
    t.outcome("end", right.recv, 10)


def case_bad_arguments(t: Any) -> None:
    left, right = tcp_pair()
    for name, args in (
        ("recv", (-1,)), ("recv", ("a",)), ("recv", (1, "a")), ("recv_into", (b"abc",)), ("recv_into", (bytearray(2), 5)),
        ("recv_into", (bytearray(2), -5)), ("recvfrom", (-1,)), ("recvfrom_into", (bytearray(2), 5)), ("recvmsg", (-1,)),
        ("recvmsg", (1, -1)), ("recvmsg_into", (5,)), ("recvmsg_into", ([b"a"],)), ("send", ("text",)), ("send", (None,)),
        ("sendall", ("text",)), ("sendall", (5,)), ("sendto", (b"a",)), ("sendto", (b"a", 1)), ("sendto", (b"a", 0, 1)),
        ("sendto", ("a", ("127.0.0.1", 1))), ("sendto", (b"a", "b", "c")), ("sendmsg", (5,)), ("sendmsg", ([1],)),
        ("sendmsg", ([b"a"], 5)), ("sendmsg", ([b"a"], [5])), ("sendmsg", ([b"a"], [(1, 2)])), ("sendfile", (5,)),
        ("connect", (5,)), ("connect", (("127.0.0.1",),)), ("connect", (("127.0.0.1", 70000),)),
        ("connect", (("127.0.0.1", "http"),)), ("connect", ((5, 80),)), ("connect_ex", (5,)), ("bind", (5,)),
        ("bind", (("127.0.0.1", -1),)), ("settimeout", ("a",)), ("settimeout", (-1,)), ("settimeout", (float("nan"),)),
        ("settimeout", (1e300,)), ("settimeout", (float("inf"),)), ("setblocking", ("a",)), ("setblocking", (None,)),
        ("makefile", ("x",)), ("makefile", ("r", 0)), ("makefile", ("rw", 0)), ("shutdown", (77,)), ("shutdown", ("a",)),
        ("listen", (0,)),
    ):  # fmt: skip
        t.outcome(f"{name}{args!r}", getattr(left, name), *args)
    t.note(left.gettimeout(), left.getblocking())
    right.close()


def case_sending(t: Any) -> None:
    left, right = tcp_pair()
    for data in (b"", b"bytes", bytearray(b"array"), memoryview(b"view"), array("h", [1, 2]), memoryview(b"0123456789")[2:5]):
        t.outcome("send", left.send, data)
        t.outcome("sendall", left.sendall, data)
        t.outcome("sendmsg", left.sendmsg, [data, data])
    t.outcome("strided", left.sendall, memoryview(b"0123456789")[::2])
    t.outcome("strided", left.send, memoryview(b"0123456789")[::2])
    t.outcome("two dimensions", left.sendall, memoryview(bytes(range(6))).cast("B", (2, 3)))
    t.outcome("generator", left.sendmsg, (bytes([n]) for n in range(3)))
    t.outcome("flags", left.send, b"f", socket.MSG_NOSIGNAL)
    t.outcome("flags", left.sendall, b"f", socket.MSG_MORE)
    t.outcome("flags", left.sendall, b"f", socket.MSG_DONTWAIT)
    left.shutdown(socket.SHUT_WR)
    t.note(receive_all(right))
    t.outcome("after shutdown", left.send, b"x")
    t.outcome("after shutdown", left.sendall, b"x")
    t.outcome("after shutdown", left.sendmsg, [b"x"])


def case_sending_waits_for_room(t: Any) -> None:
    for name, data in (("bytes", bytes(range(256)) * 8192), ("array", array("i", range(500000)))):
        for timeout in (None, 5):
            left, right = tcp_pair()
            left.settimeout(timeout)
            task = Task(left.sendall, data)
            let_it_block()
            reader = Task(receive_all, right)
            task.note(t, f"sendall of {name}")
            left.close()
            got = reader.join()
            t.note(len(got), hashlib.sha256(got).hexdigest() == hashlib.sha256(data).hexdigest())
    for name in ("send", "sendmsg"):
        left, right = tcp_pair()
        filled = fill(left)
        task = Task(getattr(left, name), b"more" if name == "send" else [b"mo", b"re"])
        let_it_block()
        reader = Task(receive_all, right)
        task.note(t, name)
        left.close()
        t.note(len(reader.join()) - filled)


def case_sending_runs_out_of_time(t: Any) -> None:
    left, right = tcp_pair()
    fill(left)
    left.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the least: no room comes as some is moved on
    for name, data in (("send", b"x"), ("sendall", b"x"), ("sendall", bytes(10_000_000)), ("sendmsg", [b"x"])):
        left.settimeout(SHORT)
        t.outcome(name, getattr(left, name), data)
    left.settimeout(None)
    right.close()
    t.outcome("reset", left.sendall, bytes(10_000_000))


def case_sending_without_a_wait(t: Any) -> None:
    left, right = socket.socketpair()  # of which the kernel moves nothing to the other side by itself
    fill(left)
    for timeout in (0, None):
        left.settimeout(timeout)
        t.outcome("send", left.send, b"x", socket.MSG_DONTWAIT)
        t.outcome("sendall", left.sendall, b"x", socket.MSG_DONTWAIT)
        t.outcome("sendmsg", left.sendmsg, [b"x"], [], socket.MSG_DONTWAIT)
    left.setblocking(False)
    t.outcome("send", left.send, b"x")
    t.outcome("sendall", left.sendall, b"x")
    t.outcome("sendmsg", left.sendmsg, [b"x"])
    right.close()
    left.close()


def case_connect(t: Any) -> None:
    listener = create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    for timeout in (None, 5):
        with socket.socket() as sock:
            sock.settimeout(timeout)
            t.outcome("connect", sock.connect, address)
            t.outcome("again", sock.connect, address)
            t.outcome("again", sock.connect_ex, address)
            t.note(sock.gettimeout(), sock.getpeername() == address)
        with socket.socket() as sock:
            sock.settimeout(timeout)
            t.outcome("connect_ex", sock.connect_ex, address)
        port = closed_port()
        with socket.socket() as sock:
            sock.settimeout(timeout)
            t.outcome("refused", sock.connect, ("127.0.0.1", port))
            t.outcome("refused", sock.connect_ex, ("127.0.0.1", port))
        with socket.socket() as sock:
            sock.settimeout(timeout)
            t.outcome("by name", sock.connect, ("localhost", address[1]))
    with socket.socket() as sock:
        sock.setblocking(False)
        t.outcome("in progress", sock.connect, address)
        select.select([], [sock], [])
        t.note(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        t.outcome("done", sock.connect_ex, address)
    with socket.socket() as sock:
        sock.setblocking(False)
        t.note(errno.errorcode[sock.connect_ex(address)])
        sock.settimeout(5)
        t.outcome("send", sock.send, b"x")
    closed = socket.socket()
    closed.close()
    t.outcome("closed", closed.connect, address)
    t.outcome("closed", closed.connect_ex, address)
    listener.close()


def case_connect_runs_out_of_time(t: Any) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        first = create_connection(address)  # the queue is full
        with socket.socket() as sock:
            sock.settimeout(SHORT)
            t.outcome("connect", sock.connect, address)
        with socket.socket() as sock:
            sock.settimeout(SHORT)
            t.outcome("connect_ex", sock.connect_ex, address)
        t.outcome("create_connection", create_connection, address, SHORT)
        first.close()


def case_connect_while_another_does(t: Any) -> None:
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        stack.enter_context(create_connection(address))  # the queue is full
        sock = stack.enter_context(socket.socket())
        sock.settimeout(SHORT)
        t.outcome("runs out of time", sock.connect, address)
        sock.settimeout(10)  # far longer than the case may take
        begun = time.monotonic()
        t.outcome("again", sock.connect, address)
        t.outcome("again", sock.connect_ex, address)
        t.note("at once", time.monotonic() - begun < 5)
        sock.setblocking(False)
        t.outcome("without waiting", sock.connect_ex, address)
        timed, blocking = (stack.enter_context(socket.socket()) for _ in range(2))
        timed.settimeout(10)
        tasks = [Task(timed.connect, address), Task(blocking.connect, address)]
        let_it_block()
        t.outcome("beside a thread", timed.connect, address)
        t.outcome("beside a thread", timed.connect_ex, address)
        tasks.append(Task(blocking.connect, address))  # which waits too
        let_it_block()
        sock.close()
        accepted = []
        threading.Thread(target=lambda: accepted.extend(iter(listener.accept, None)), daemon=True).start()
        for task in tasks:
            task.note(t, "in the end")


def case_accept(t: Any) -> None:
    with create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SHORT)
        t.outcome("timeout", listener.accept)
        t.note(listener.gettimeout())
        listener.settimeout(5)
        task = Task(listener.accept)
        let_it_block()
        client = create_connection(listener.getsockname())
        peer, address = task.join()
        t.note(address == client.getsockname(), peer.gettimeout(), type(peer), peer.family, peer.type)
        client.close()
        peer.close()
        listener.setblocking(False)
        t.outcome("no blocking", listener.accept)
        client = create_connection(listener.getsockname())
        select.select([listener], [], [])
        peer, address = listener.accept()
        t.note(peer.gettimeout(), peer.getblocking())
        client.close()
        peer.close()
    t.outcome("closed", listener.accept)
    with socket.socket() as sock:
        t.outcome("not listening", sock.accept)


def case_many_accept_from_one(t: Any) -> None:
    lock = threading.Lock()
    served: list[bytes] = []
    with create_server(("127.0.0.1", 0), backlog=64) as listener:

        def serve() -> None:
            while True:
                peer, _ = listener.accept()
                with peer:
                    data = peer.recv(10)
                    peer.sendall(data.upper())
                with lock:
                    served.append(data)
                if data == b"stop":
                    return

        servers = [Task(serve) for _ in range(5)]
        let_it_block()

        def ask(data: bytes) -> bytes:
            with create_connection(listener.getsockname()) as sock:
                sock.sendall(data)
                return sock.recv(10)

        clients = [Task(ask, b"%d" % n) for n in range(30)]
        t.note([client.join() for client in clients])
        for _ in servers:
            t.note(ask(b"stop"))
        for server in servers:
            server.note(t, "server")
    t.note(len(served), sorted(set(served)))


def case_many_read_one_socket(t: Any) -> None:
    left, right = tcp_pair()

    def read() -> list[bytes]:
        got = []
        while data := left.recv(1):
            got.append(data)
        return got

    tasks = [Task(read) for _ in range(4)]
    let_it_block()
    for n in range(200):
        right.send(bytes([n]))
    right.close()
    got = sorted(b"".join(b"".join(task.join()) for task in tasks))
    t.note(got == list(range(200)))
    left.close()
    left, right = tcp_pair()
    writers = [Task(left.sendall, bytes([n]) * 300_000) for n in range(4)]
    let_it_block()
    reader = Task(receive_all, right)
    for task in writers:
        task.note(t, "sendall")
    left.close()
    got = reader.join()
    t.note([got.count(n) for n in range(5)])


def case_shutdown(t: Any) -> None:
    left, right = tcp_pair()
    right.sendall(b"rest")
    t.outcome("write", right.shutdown, socket.SHUT_WR)
    t.outcome("recv", left.recv, 100)
    t.outcome("end", left.recv, 100)
    t.outcome("end", left.recv, 100)
    t.outcome("the other way", left.sendall, b"still")
    t.outcome("recv", right.recv, 100)
    t.outcome("again", right.shutdown, socket.SHUT_WR)
    task = Task(right.recv, 100)
    let_it_block()
    t.outcome("read", right.shutdown, socket.SHUT_RD)
    task.note(t, "recv that waited")
    t.outcome("both", left.shutdown, socket.SHUT_RDWR)
    t.outcome("end", right.recv, 100)
    left.close()
    t.outcome("closed", left.shutdown, socket.SHUT_RDWR)
    with socket.socket() as sock:
        t.outcome("not connected", sock.shutdown, socket.SHUT_RD)
        t.outcome("not connected", sock.recv, 5)
        t.outcome("not connected", sock.send, b"a")
        t.outcome("not connected", sock.sendall, b"a")
        sock.settimeout(SHORT)
        t.outcome("not connected", sock.recv, 5)
        t.outcome("not connected", sock.send, b"a")
    listener = create_server(("127.0.0.1", 0))
    task = Task(listener.accept)
    let_it_block()
    listener.shutdown(socket.SHUT_RDWR)
    task.note(t, "accept that waited")
    left, right = tcp_pair()
    fill(left)
    task = Task(left.sendall, bytes(10_000_000))
    let_it_block()
    left.shutdown(socket.SHUT_WR)
    task.note(t, "sendall that waited")


def case_reset(t: Any) -> None:
    for name in ("recv", "send", "waiting"):
        left, right = tcp_pair()
        task = Task(left.recv, 10) if name == "waiting" else None
        if task is not None:
            let_it_block()
        right.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        right.close()
        if task is not None:
            task.note(t, "waiting")
        if name == "send":
            t.outcome("send", left.send, b"x")
        t.outcome("recv", left.recv, 10)
        t.outcome("recv", left.recv, 10)
        t.outcome("send", left.send, b"x")
        t.outcome("sendall", left.sendall, b"x")
        left.close()


def case_urgent_data(t: Any) -> None:
    left, right = tcp_pair()
    left.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 0)
    t.outcome("none", left.recv, 1, socket.MSG_OOB)
    right.send(b"abc")
    right.send(b"!", socket.MSG_OOB)
    t.note([len(part) for part in select.select([], [], [left], 5)])
    t.outcome("urgent", left.recv, 1, socket.MSG_OOB)
    t.outcome("normal", left.recv, 10)
    task = Task(left.recv, 10)
    let_it_block()
    right.send(b"!", socket.MSG_OOB)
    right.send(b"after")
    task.note(t, "past the mark")
    left.settimeout(SHORT)
    t.outcome("nothing left", left.recv, 10)
    right.sendall(b"x", socket.MSG_OOB)
    t.outcome("inline", left.recv, 10)


def case_closing_ends_a_wait(t: Any) -> None:
    # natively it may last until something comes: so it does
    left, right = tcp_pair()
    task = Task(left.recv, 10)
    let_it_block()
    left.close()
    right.send(b"x")
    right.close()
    task.thread.join(5)
    t.note(task.thread.is_alive(), left.fileno())
    t.outcome("closed", left.recv, 1)


def case_full_duplex(t: Any) -> None:
    left, right = tcp_pair()
    data = bytes(range(256)) * 4096
    tasks = [Task(sock.sendall, data) for sock in (left, right)]

    def read(sock: socket.socket) -> bool:
        got = bytearray()
        while len(got) < len(data):
            got += sock.recv(50000)
        return got == data

    readers = [Task(read, sock) for sock in (left, right)]
    for task in tasks + readers:
        task.note(t, "done")


class Flags:
    """Flags that are no integer, but have a value as one."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


def case_odd_flags(t: Any) -> None:
    a, b = socket.socketpair()
    odd = (None, "x", 1.5, [], 2**40, False, Flags(0), Flags(socket.MSG_DONTWAIT), Flags(socket.MSG_PEEK))
    for flags in odd:
        kind = type(flags).__name__
        t.outcome(f"send {kind}", a.send, b"data", flags)
        t.outcome(f"sendall {kind}", a.sendall, b"data", flags)
        a.send(b"more")
        t.outcome(f"recv {kind}", b.recv, 2, flags)
        t.outcome(f"recv_into {kind}", b.recv_into, bytearray(2), 2, flags)
        t.outcome(f"recv_into by name {kind}", b.recv_into, bytearray(2), flags=flags)
        t.outcome(f"recvfrom {kind}", b.recvfrom, 2, flags)
        t.outcome(f"recvmsg {kind}", b.recvmsg, 1, 0, flags)
        t.outcome(f"sendmsg {kind}", a.sendmsg, [b"x"], (), flags)
        t.outcome(f"recv of no size, {kind}", b.recv, "x", flags)
        b.recv(1000)
    udp, peer = socket.socket(type=socket.SOCK_DGRAM), socket.socket(type=socket.SOCK_DGRAM)
    peer.bind(("127.0.0.1", 0))
    for flags in odd[:-1]:
        t.outcome(f"sendto {type(flags).__name__}", udp.sendto, b"x", flags, peer.getsockname())
    for sock in (a, b, udp, peer):
        sock.close()


def case_asked_not_to_wait_with_a_timeout(t: Any) -> None:
    flag = socket.MSG_DONTWAIT
    for timeout in (5.0, 0.02, None, 0.0):
        a, b = socket.socketpair()
        with a, b:
            b.settimeout(timeout)
            a.settimeout(timeout)
            buffer = bytearray(4)
            for name, call, args in (
                ("recv", b.recv, (4, flag)), ("recv_into", b.recv_into, (buffer, 0, flag)), ("recvfrom", b.recvfrom, (4, flag)),
                ("recvmsg", b.recvmsg, (4, 0, flag)), ("recvfrom_into", b.recvfrom_into, (buffer, 0, flag)),
                ("recvmsg_into", b.recvmsg_into, ([buffer], 0, flag)),
            ):  # fmt: skip
                later = threading.Timer(0.05, a.send, (b"late",))
                if timeout == 5.0:
                    later.start()
                t.outcome(f"{name} {timeout}", call, *args)
                if timeout == 5.0:
                    later.join()
            a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            if timeout != 5.0:
                t.outcome(f"sendall {timeout}", a.sendall, bytes(1 << 20), flag)


class Asked:
    """A buffer, since 3.12; it says how often it is asked."""

    def __init__(self, told: list[str], data: Any) -> None:
        self.told = told
        self.data = data

    def __buffer__(self, flags: int) -> memoryview:
        self.told.append("asked")
        if isinstance(self.data, Exception):
            raise self.data
        return memoryview(self.data)

    def __release_buffer__(self, view: memoryview) -> None:
        view.release()


def case_buffers_written_in_python(t: Any) -> None:
    for data in (b"some", bytearray(b"some"), ValueError("no"), TypeError("no"), BufferError("no")):
        for waits in (False, True):
            told: list[str] = []
            a, b = socket.socketpair()
            with a, b:
                if waits:
                    threading.Timer(0.02, b.send, (b"late",)).start()
                else:
                    b.send(b"soon")
                kind = type(data).__name__
                if not isinstance(data, bytes):
                    t.outcome(f"recv_into {kind}", a.recv_into, Asked(told, data))
                    t.note(told)
                b.send(b"next")
                for name in ("send", "sendall"):
                    told.clear()
                    t.outcome(f"{name} {kind}", getattr(a, name), Asked(told, data))
                    t.note(told)
                told.clear()
                t.outcome(f"sendmsg {kind}", a.sendmsg, [Asked(told, data)])
                t.note(told)


def case_urgent_data_with_a_timeout(t: Any) -> None:
    for timeout in (SHORT, 0.0, None):
        left, right = tcp_pair()
        right.settimeout(timeout)
        room = bytearray(5)
        calls = (("recv", 5), ("recv_into", room, 5), ("recvfrom", 5), ("recvfrom_into", room, 5), ("recvmsg", 5, 0))
        for name, *args in calls:
            t.outcome(f"{timeout}: nothing: {name}", getattr(right, name), *args, socket.MSG_OOB)
        left.send(b"u", socket.MSG_OOB)
        while not select.select([], [], [right], 9)[2]:
            pass
        if timeout:
            t.outcome("what is waited for is other data", right.recv, 5, socket.MSG_OOB)
            left.send(b"plain")
            right.settimeout(9)
        t.outcome(f"{timeout}: urgent", right.recv, 5, socket.MSG_OOB)
        t.outcome(f"{timeout}: once only", right.recv, 5, socket.MSG_OOB)
        t.outcome(f"{timeout}: asked not to wait", right.recv, 5, socket.MSG_OOB | socket.MSG_DONTWAIT)
        t.outcome(f"{timeout}: sent", left.send, b"v", socket.MSG_OOB)
        left.close()
        right.close()
