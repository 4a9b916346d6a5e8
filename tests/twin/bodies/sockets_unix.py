"""UNIX sockets: streams, datagrams, packets, abstract names, descriptors and credentials in messages."""

from __future__ import annotations

import array
import os
import select
import socket
import struct
import tempfile
from typing import Any

from network import SHORT, Task, fill, let_it_block, receive_all

STREAM, DGRAM, SEQPACKET = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET


def _server(kind: int, abstract: bool = False) -> tuple[socket.socket, Any]:
    sock = socket.socket(socket.AF_UNIX, kind)
    name = f"\0dhagapatch-{os.getpid()}-{sock.fileno()}" if abstract else os.path.join(tempfile.mkdtemp(), "socket")
    sock.bind(name)
    if kind != DGRAM:
        sock.listen()
    return sock, name


def case_streams_and_packets(t: Any) -> None:
    for kind in (STREAM, SEQPACKET):
        for abstract in (False, True):
            listener, name = _server(kind, abstract)
            task = Task(listener.accept)
            let_it_block()
            client = socket.socket(socket.AF_UNIX, kind)
            t.outcome("connect", client.connect, name)
            peer, address = task.join()
            t.note(kind, address, peer.getpeername(), client.getpeername() == (name.encode() if abstract else name))
            task = Task(client.recv, 10)
            let_it_block()
            peer.send(b"hello")
            task.note(t, "recv")
            peer.send(b"one")
            peer.send(b"two")
            t.outcome("recv", client.recv, 10)
            peer.close()
            t.outcome("recv", client.recv, 10)
            t.outcome("end", client.recv, 10)
            t.outcome("send", client.send, b"x")
            t.outcome("again", client.connect, name)
            client.close()
            listener.close()
            if not abstract:
                os.unlink(name)


def case_connect_errors(t: Any) -> None:
    listener, name = _server(STREAM)
    for timeout in (None, 5, 0):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(timeout)
            t.outcome("missing", sock.connect, name + "x")
            t.outcome("missing", sock.connect_ex, name + "x")
            t.outcome("too long", sock.connect, "x" * 200)
            t.outcome("not a name", sock.connect, 5)
            t.outcome("not a name", sock.connect, ("127.0.0.1", 5))
            t.outcome("not a socket", sock.connect, os.path.dirname(name))
    with socket.socket(socket.AF_UNIX, DGRAM) as sock:
        t.outcome("wrong kind", sock.connect, name)
    listener.close()
    with socket.socket(socket.AF_UNIX) as sock:
        t.outcome("refused", sock.connect, name)
        t.outcome("bytes", sock.connect, name.encode())
        t.outcome("bind", sock.bind, name)


def case_listener_with_a_full_queue(t: Any) -> None:
    listener, name = _server(STREAM)
    listener.listen(0)
    first = socket.socket(socket.AF_UNIX)
    first.connect(name)
    for timeout in (SHORT, 0):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(timeout)
            t.outcome("full", sock.connect, name)
            t.outcome("full", sock.connect_ex, name)
    second = socket.socket(socket.AF_UNIX)
    task = Task(second.connect, name)
    let_it_block()
    peer, _ = listener.accept()
    task.note(t, "connect that waited")
    t.note(os.get_blocking(second.fileno()))
    other, _ = listener.accept()
    other.send(b"x")
    t.outcome("recv", second.recv, 1)
    peer.close()


def case_datagrams(t: Any) -> None:
    server, name = _server(DGRAM)
    client, back = _server(DGRAM)
    task = Task(server.recvfrom, 100)
    let_it_block()
    t.outcome("sendto", client.sendto, b"question", name)
    value, address = task.join()
    t.note(value, address == back)
    t.outcome("missing", client.sendto, b"x", name + "x")
    t.outcome("not connected", client.send, b"x")
    t.outcome("connect", client.connect, name)
    t.outcome("send", client.send, b"")
    t.outcome("empty", server.recv, 10)
    count = 0
    client.setblocking(False)
    try:
        while True:
            client.send(b"x" * 100)
            count += 1
    except BlockingIOError as error:
        t.error("full", error)
    client.settimeout(SHORT)
    t.outcome("timeout", client.send, b"y")
    t.outcome("timeout", client.sendto, b"y", name)
    client.settimeout(None)
    tasks = [Task(client.send, b"last"), Task(client.sendmsg, [b"la", b"st"]), Task(client.sendto, b"last", name)]
    let_it_block()
    t.note(len({server.recv(200) for _ in range(count)}))
    for task in tasks:
        task.note(t, "send that waited")
    t.note([server.recv(10) for _ in tasks])
    server.close()
    t.outcome("refused", client.send, b"x")
    left, right = socket.socketpair(socket.AF_UNIX, DGRAM)
    left.settimeout(SHORT)
    t.outcome("timeout", left.recv, 5)
    right.close()
    t.outcome("peer gone", left.send, b"x")
    left.close()
    left, right = socket.socketpair(socket.AF_UNIX, SEQPACKET)
    right.send(b"a packet")
    t.outcome("part of it", left.recvmsg, 3)
    right.close()
    t.outcome("end", left.recv, 3)


def case_descriptors_in_messages(t: Any) -> None:
    for kind in (STREAM, DGRAM, SEQPACKET):
        left, right = socket.socketpair(socket.AF_UNIX, kind)
        reader, writer = os.pipe()
        task = Task(right.recvmsg, 100, socket.CMSG_SPACE(8))
        let_it_block()
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [reader]))]
        t.outcome("sendmsg", left.sendmsg, [b"take", b" it"], ancillary)
        data, received, flags, address = task.join()
        t.note(data, [(level, what, len(value)) for level, what, value in received], flags, address)
        fd = struct.unpack("i", received[0][2][:4])[0]
        os.write(writer, b"through the pipe")
        t.note(os.read(fd, 100))
        os.close(writer)
        t.note(os.read(fd, 100))
        os.close(fd)
        t.outcome("generator", left.sendmsg, (part for part in (b"a", b"b")), (item for item in ancillary))
        buffer = bytearray(5)
        data, received, flags, address = right.recvmsg_into((part for part in (buffer,)), socket.CMSG_SPACE(8))
        t.note(data, buffer, len(received))
        os.close(struct.unpack("i", received[0][2][:4])[0])
        os.close(reader)
        t.outcome("bad descriptor", left.sendmsg, [b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", 987))])


def case_send_fds(t: Any) -> None:
    left, right = socket.socketpair()
    one, two = os.pipe()
    task = Task(socket.recv_fds, right, 100, 5)
    let_it_block()
    t.outcome("send_fds", socket.send_fds, left, [b"two"], [one, two])
    data, fds, flags, address = task.join()
    t.note(data, len(fds), flags, address)
    os.write(fds[1], b"x")
    t.note(os.read(fds[0], 5), os.get_inheritable(fds[0]))
    for fd in (*fds, one, two):
        os.close(fd)
    # a descriptor in the stream stops a read before it, with more behind it
    null = os.open("/dev/null", os.O_RDONLY)
    left.send(b"before")
    socket.send_fds(left, [b"with"], [null])
    left.send(b"after")
    got = []
    while sum(map(len, got)) < 15:
        got.append(right.recv(100))
    t.note(b"".join(got))
    os.close(null)


def case_credentials(t: Any) -> None:
    left, right = socket.socketpair()
    right.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    task = Task(right.recvmsg, 10, socket.CMSG_SPACE(12))
    let_it_block()
    left.send(b"me")
    data, received, _, _ = task.join()
    t.note(data, struct.unpack("iii", received[0][2]) == (os.getpid(), os.getuid(), os.getgid()))
    peer = struct.unpack("iii", left.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    t.note(peer == (os.getpid(), os.getuid(), os.getgid()))


def case_waiting_for_room(t: Any) -> None:
    for timeout in (None, 5):
        left, right = socket.socketpair()
        left.settimeout(timeout)
        filled = fill(left)
        tasks = [Task(left.sendall, bytes(200_000)), Task(left.sendmsg, [b"abc"])]
        let_it_block()
        reader = Task(receive_all, right)
        for task in tasks:
            task.note(t, "sent")
        left.close()
        t.note(len(reader.join()) - filled)
    left, right = socket.socketpair()
    filled = fill(left)
    task = Task(left.sendall, b"x")
    let_it_block()
    right.close()
    task.note(t, "peer closed")
    left.close()
    left, right = socket.socketpair()
    fill(left)
    left.settimeout(SHORT)
    t.outcome("timeout", left.sendall, b"x")
    t.outcome("timeout", left.send, b"x")
    t.outcome("timeout", left.sendmsg, [b"x"])
    t.note([len(part) for part in select.select([left], [left], [left], 0)])


def case_waitall_and_peek(t: Any) -> None:
    left, right = socket.socketpair()
    task = Task(right.recv, 6, socket.MSG_WAITALL)
    let_it_block()
    left.send(b"abc")
    let_it_block()
    left.send(b"defg")
    task.note(t, "waitall")
    t.outcome("peek", right.recv, 6, socket.MSG_PEEK)
    task = Task(right.recv, 6, socket.MSG_WAITALL)
    let_it_block()
    left.close()
    task.note(t, "waitall at the end")
    left, right = socket.socketpair()
    right.settimeout(SHORT)
    left.send(b"abc")
    t.outcome("waitall with a timeout", right.recv, 6, socket.MSG_WAITALL)
    t.outcome("waitall with a timeout", right.recv_into, bytearray(6), 0, socket.MSG_WAITALL)
    left.send(b"abc")
    t.outcome("recvmsg", right.recvmsg, 6, 0, socket.MSG_WAITALL)
    left.send(b"abc")
    t.outcome("dontwait", right.recv, 6, socket.MSG_WAITALL | socket.MSG_DONTWAIT)
    right.settimeout(None)
    for name, call in (("recvmsg", lambda: right.recvmsg(6, 0, socket.MSG_WAITALL)),
                       ("recvfrom", lambda: right.recvfrom(6, socket.MSG_WAITALL)),
                       ("recvfrom_into", lambda: right.recvfrom_into(bytearray(6), 0, socket.MSG_WAITALL)),
                       ("recvmsg_into", lambda: right.recvmsg_into([bytearray(2), bytearray(4)], 0, socket.MSG_WAITALL)),
                       ("peek", lambda: (right.recv(6, socket.MSG_PEEK | socket.MSG_WAITALL), right.recv(6)))):  # fmt: skip
        task = Task(call)
        let_it_block()
        left.send(b"abc")
        let_it_block()
        left.send(b"def")
        task.note(t, name)
