"""Datagrams over the loopback interface, and IPv6."""

from __future__ import annotations

import select
import socket
from typing import Any

from network import SHORT, Task, closed_port, let_it_block, tcp_pair


def _pair(family: int = socket.AF_INET, host: str = "127.0.0.1") -> tuple[socket.socket, socket.socket]:
    left, right = (socket.socket(family, socket.SOCK_DGRAM) for _ in range(2))
    left.bind((host, 0))
    right.bind((host, 0))
    return left, right


_RECEIVERS: dict[str, Any] = {
    "recv": lambda sock, buffer: sock.recv(100),
    "recv short": lambda sock, buffer: sock.recv(3),
    "recv waitall": lambda sock, buffer: sock.recv(100, socket.MSG_WAITALL),
    "recv_into": lambda sock, buffer: sock.recv_into(buffer),
    "recvfrom": lambda sock, buffer: sock.recvfrom(100),
    "recvfrom short": lambda sock, buffer: sock.recvfrom(3),
    "recvfrom_into": lambda sock, buffer: sock.recvfrom_into(buffer),
    "recvmsg": lambda sock, buffer: sock.recvmsg(100),
    "recvmsg short": lambda sock, buffer: sock.recvmsg(3),
    "recvmsg_into": lambda sock, buffer: sock.recvmsg_into([buffer]),
    "peek": lambda sock, buffer: (sock.recvfrom(2, socket.MSG_PEEK), sock.recvfrom(100)),
}


def case_receiving(t: Any) -> None:
    for name, call in _RECEIVERS.items():
        left, right = _pair()
        for timeout in (None, 5):
            left.settimeout(timeout)
            buffer = bytearray(8)
            task = Task(call, left, buffer)
            let_it_block()
            right.sendto(b"hello", left.getsockname())
            task.note(t, name)
            t.note(buffer)
        right.sendto(b"", left.getsockname())
        t.outcome("empty", call, left, bytearray(8)) if name != "peek" else None
        left.settimeout(SHORT)
        t.outcome("timeout", call, left, bytearray(8)) if name != "peek" else None
        left.setblocking(False)
        t.outcome("no blocking", left.recv, 5)
        t.outcome("no blocking", left.recvfrom_into, bytearray(8))


def case_sending(t: Any) -> None:
    left, right = _pair()
    address = left.getsockname()
    t.outcome("sendto", right.sendto, b"a", address)
    t.outcome("sendto flags", right.sendto, b"b", 0, address)
    t.outcome("sendto name", right.sendto, b"c", ("localhost", address[1]))
    t.outcome("sendmsg", right.sendmsg, [b"d", b"e"], [], 0, address)
    t.outcome("sendmsg name", right.sendmsg, [b"f"], [], 0, ("localhost", address[1]))
    t.outcome("dontwait", right.sendto, b"g", socket.MSG_DONTWAIT, address)
    t.outcome("no address", right.send, b"x")
    t.outcome("no address", right.sendmsg, [b"x"])
    t.outcome("too long", right.sendto, bytes(70000), address)
    t.outcome("bad", right.sendto, b"x", ("127.0.0.1", 0))
    t.outcome("bad", right.sendto, b"x", ("127.0.0.1", 99999))
    t.outcome("bad", right.sendto, b"x", 0, ("a", "b", "c"))
    t.outcome("bad", right.sendmsg, [b"x"], [], 0, ("127.0.0.1", -1))
    t.outcome("bad flags", right.sendto, b"x", 1.5, address)
    t.outcome("broadcast", right.sendto, b"x", ("255.255.255.255", 9))
    t.note([left.recv(100) for _ in range(6)])
    t.outcome("connect", right.connect, address)
    t.outcome("connect again", right.connect_ex, address)
    t.outcome("send", right.send, b"1")
    t.outcome("sendall", right.sendall, b"2")
    t.outcome("sendmsg", right.sendmsg, [b"3"])
    t.note([left.recv(100) for _ in range(3)], right.getpeername() == address)


def case_connected_and_refused(t: Any) -> None:
    for timeout in (None, 5):
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.settimeout(timeout)
            sock.connect(("127.0.0.1", closed_port(socket.SOCK_DGRAM)))
            t.outcome("send", sock.send, b"x")
            t.outcome("recv", sock.recv, 10)
            task = Task(sock.recv, 10)
            let_it_block()
            t.outcome("send", sock.send, b"x")
            task.note(t, "recv that waited")
            t.outcome("send", sock.send, b"x")
            t.outcome("send", sock.send, b"x")
            sock.settimeout(SHORT)
            t.outcome("nothing more", sock.recv, 10)
    left, right = _pair()
    left.connect(right.getsockname())
    with socket.socket(type=socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"not for you", left.getsockname())
        right.sendto(b"for you", left.getsockname())
        t.outcome("only the peer", left.recv, 20)
    task = Task(left.recv, 10)
    let_it_block()
    t.outcome("shutdown", left.shutdown, socket.SHUT_RDWR)
    task.note(t, "recv that waited")


def case_many_read_one(t: Any) -> None:
    left, right = _pair()
    tasks = [Task(left.recv, 10) for _ in range(5)]
    let_it_block()
    for n in range(5):
        right.sendto(b"%d" % n, left.getsockname())
    t.note(sorted(task.join() for task in tasks))


def case_error_queue(t: Any) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
        sock.connect(("127.0.0.1", closed_port(socket.SOCK_DGRAM)))
        sock.send(b"x")
        t.outcome("recv", sock.recv, 10)
        message = sock.recvmsg(10, 200, socket.MSG_ERRQUEUE)
        t.note(message[0], [(level, kind) for level, kind, _ in message[1]], message[2])
        t.outcome("empty", sock.recvmsg, 10, 200, socket.MSG_ERRQUEUE)


def case_ipv6(t: Any) -> None:
    t.note(socket.has_ipv6)
    left, right = tcp_pair("::1")
    task = Task(left.recv, 10)
    let_it_block()
    right.send(b"six")
    task.note(t, "recv")
    t.note(left.getsockname()[0], len(left.getsockname()), left.family)
    with socket.socket(socket.AF_INET6) as sock:
        t.outcome("short address", sock.connect, ("::1",))
        t.outcome("refused", sock.connect, ("::1", closed_port(), 0, 0))
        t.outcome("flow", sock.connect, ("::1", 1, 2**21))
        t.outcome("wrong kind", sock.connect, ("127.0.0.1", 1))
    one, two = _pair(socket.AF_INET6, "::1")
    task = Task(one.recvfrom, 10)
    let_it_block()
    two.sendto(b"dgram", one.getsockname())
    task.note(t, "recvfrom")
    with socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, port)):
                peer, address = listener.accept()
                t.note(address[0], peer.family)
                peer.close()


def case_ready_for_what(t: Any) -> None:
    left, right = _pair()
    left.setblocking(False)
    right.sendto(b"one", left.getsockname())
    select.select([left], [], [])
    t.outcome("recv", left.recv, 10)
    t.outcome("recv", left.recv, 10)
    left.setblocking(True)
    task = Task(left.recvfrom, 10)
    let_it_block()
    right.sendto(b"two", left.getsockname())
    task.note(t, "recvfrom")
