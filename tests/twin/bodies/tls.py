"""TLS: handshakes, reading, writing, ending, timeouts, errors, sessions, contexts and sockets made early."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import select
import socket
import ssl
import tempfile
import threading
from typing import Any

import trustme
from network import SHORT, Task, fill, let_it_block, tcp_pair
from tls_pairs import (
    authority,
    certificate,
    client_context,
    handshake,
    module_client,
    module_server,
    pair,
    server_context,
    unshaken,
)

stranger = trustme.CA()

module_pair = unshaken()
handshake(*module_pair)
module_timed = unshaken()
handshake(*module_timed)
module_timed[0].settimeout(SHORT)
module_unshaken = unshaken()


def case_made_early(t: Any) -> None:
    left, right = module_pair
    task = Task(left.recv, 100)
    let_it_block()
    t.outcome("sendall", right.sendall, b"early")
    task.note(t, "recv")
    t.outcome("timeout", module_timed[0].recv, 10)
    t.note(module_timed[0].gettimeout(), left.gettimeout())
    server = Task(module_unshaken[1].do_handshake)
    t.outcome("handshake", module_unshaken[0].do_handshake)
    server.note(t, "handshake")
    task = Task(module_unshaken[1].read, 100)
    let_it_block()
    t.outcome("write", module_unshaken[0].write, b"late")
    task.note(t, "read")


def case_handshake(t: Any) -> None:
    for on_connect in (True, False):
        with socket.create_server(("127.0.0.1", 0)) as plain:
            with module_server.wrap_socket(plain, server_side=True, do_handshake_on_connect=on_connect) as listener:

                def serve(listener: Any = listener) -> Any:
                    peer, _ = listener.accept()
                    with peer:
                        peer.do_handshake()
                        peer.sendall(peer.recv(10).upper())
                        return peer.version(), peer.server_side, peer.server_hostname, peer.do_handshake_on_connect

                task = Task(serve)
                let_it_block()
                with socket.create_connection(listener.getsockname()) as sock:
                    client = module_client.wrap_socket(sock, server_hostname="localhost", do_handshake_on_connect=on_connect)
                    t.note(sock.fileno(), client.version())
                    client.do_handshake()
                    client.sendall(b"question")
                    t.outcome("answer", client.recv, 100)
                    t.note(client.version(), client.cipher()[0], client.compression())  # type: ignore[index]
                    t.note(client.selected_alpn_protocol(), client.shared_ciphers() is None)
                    t.outcome("end", client.recv, 100)
                    client.close()
                task.note(t, "server")
    with module_client.wrap_socket(socket.socket(), server_hostname="localhost") as client:
        t.note(client.version(), client.pending() if client._sslobj else None)  # type: ignore[attr-defined]
        t.outcome("not connected", client.do_handshake)
        t.outcome("not connected", client.getpeercert)
        t.outcome("not connected", client.read)
        t.outcome("not connected", client.unwrap)
        t.outcome("not connected", client.recv, 1)
        with socket.create_server(("127.0.0.1", 0)) as plain:
            server = Task(lambda: module_server.wrap_socket(plain.accept()[0], server_side=True).recv(10))
            t.outcome("connect", client.connect, plain.getsockname())
            t.outcome("again", client.connect, plain.getsockname())
            t.outcome("send", client.send, b"sent")
            server.note(t, "server")
    with module_client.wrap_socket(socket.socket(), server_hostname="localhost") as client, socket.socket() as refused:
        refused.bind(("127.0.0.1", 0))
        t.outcome("refused", client.connect, refused.getsockname())
        t.outcome("refused", client.connect_ex, refused.getsockname())


def case_reading(t: Any) -> None:
    with pair() as (left, right):
        for name, call in (
            ("read", lambda: left.read(100)), ("read", left.read), ("recv", lambda: left.recv(3)), ("recv", left.recv),
            ("recv_into", lambda: left.recv_into(buffer)),  # noqa: B023 - called in this round
            ("recv_into", lambda: left.recv_into(buffer, 2)),  # noqa: B023
            ("read into", lambda: left.read(4, buffer)),  # noqa: B023
            ("makefile", lambda: left.makefile("rb").readline()),
        ):  # fmt: skip
            buffer = bytearray(10)
            task = Task(call)
            let_it_block()
            right.sendall(b"hello\n")
            task.note(t, name)
            t.note(buffer, left.pending())
            while left.pending():
                t.outcome("rest", left.recv, 100)
        t.outcome("nothing", left.read, 0)
        t.outcome("nothing", left.recv_into, bytearray(0))
        for name, args in (("recv", (1, 1)), ("recv_into", (bytearray(1), 1, 1)), ("send", (b"x", 1)), ("sendall", (b"x", 1)),
                           ("recvfrom", (1,)), ("recvmsg", (1,)), ("sendmsg", ([b"x"],)), ("sendto", (b"x", ("127.0.0.1", 1))),
                           ("recvfrom_into", (bytearray(1),)), ("recvmsg_into", ([bytearray(1)],)), ("dup", ()),
                           ("read", (-1,)), ("recv", ("x",)), ("write", ("text",)), ("send", (None,)), ("sendall", ("x",))):  # fmt: skip  # noqa: E501
            t.outcome(f"{name}{args!r}", getattr(left, name), *args)


def case_writing(t: Any) -> None:
    with pair() as (left, right):
        for data in (b"bytes", bytearray(b"array"), memoryview(b"view"), b""):
            for name in ("write", "send", "sendall"):
                t.outcome(name, getattr(left, name), data)
        with tempfile.TemporaryFile() as file:
            file.write(b"file " * 5)
            file.seek(0)
            t.outcome("sendfile", left.sendfile, file, 5)
            t.note(file.tell())
        left.makefile("w").writelines(["text"])
        left.shutdown(socket.SHUT_WR)
        got = bytearray()
        with contextlib.suppress(ssl.SSLError):
            while part := right.recv(100):
                got += part
        t.note(got)
        t.outcome("after shutdown", left.send, b"x")


def case_large_transfers_both_ways(t: Any) -> None:
    data = os.urandom(300_000)
    digest = hashlib.sha256(data).hexdigest()
    for timeout in (None, 5):
        with pair() as (left, right):
            left.settimeout(timeout)
            right.settimeout(timeout)

            def echo(right: Any = right) -> None:
                while part := right.recv(30000):
                    right.sendall(part)

            server = Task(echo)
            got = bytearray()
            # there and back in turn: two threads in one OpenSSL object are not safe natively
            for start in range(0, len(data), 50000):
                left.sendall(data[start : start + 50000])
                while len(got) < min(start + 50000, len(data)):
                    got += left.recv(65536)
            t.note(hashlib.sha256(got).hexdigest() == digest)
            left.shutdown(socket.SHUT_RDWR)
            server.thread.join(5)


def case_timeouts(t: Any) -> None:
    left, right = tcp_pair()
    left.settimeout(SHORT)
    t.outcome("handshake", module_client.wrap_socket, left, server_hostname="localhost")
    right.close()
    client, server = unshaken()
    client.settimeout(SHORT)
    t.outcome("handshake", client.do_handshake)
    t.outcome("handshake, server", lambda: (server.settimeout(SHORT), server.do_handshake(), server.do_handshake()))
    t.note(client.gettimeout(), client.fileno() >= 0)
    with pair() as (left, right):
        left.settimeout(10)
        right.sendall(b"x")
        t.outcome("first", left.recv, 1)
        left.settimeout(SHORT)
        for name, args in (("read", (5,)), ("recv", (5,)), ("recv_into", (bytearray(5),)), ("unwrap", ())):
            t.outcome(name, getattr(left, name), *args)
    with pair() as (left, right):
        left.settimeout(SHORT)
        with left.makefile("rb") as file:
            t.outcome("file", file.read, 5)
            t.outcome("file", file.read, 5)
    with pair() as (left, right):
        left.settimeout(SHORT)
        t.outcome("sendall", left.sendall, bytes(20_000_000))
        t.note(left.gettimeout())
    with pair() as (left, right):
        left.settimeout(SHORT)

        def send() -> None:
            while True:
                left.send(bytes(16384))

        t.outcome("send", send)
        t.outcome("bad", left.settimeout, -1)


def case_without_blocking(t: Any) -> None:
    client, server = unshaken()
    client.setblocking(False)
    server.setblocking(False)
    seen = set()
    for _ in range(20):
        for side in (client, server):
            try:
                side.do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
                seen.add(repr(error))
    t.note(sorted(seen), client.version())
    with contextlib.suppress(ssl.SSLWantReadError):
        client.recv(1)
    t.outcome("read", client.read, 5)
    t.outcome("recv", client.recv, 5)
    t.outcome("recv_into", client.recv_into, bytearray(5))
    t.outcome("file", client.makefile("rb", 0).read, 5)
    server.send(b"data")
    select.select([client], [], [])
    t.outcome("recv", client.recv, 2)
    t.note(client.pending(), client.gettimeout(), client.getblocking())

    def send() -> None:
        while True:
            client.send(bytes(16384))

    t.outcome("send", send)
    t.outcome("unwrap", server.unwrap)
    client.close()
    server.close()
    left, _ = tcp_pair()
    left.setblocking(False)
    t.outcome("wrap", module_client.wrap_socket, left, server_hostname="localhost")


def case_ending(t: Any) -> None:
    with pair() as (left, right):
        server = Task(right.unwrap)
        let_it_block()
        plain = left.unwrap()
        other = server.join()
        t.note(type(plain), plain is left, other is right, os.get_blocking(plain.fileno()), plain.gettimeout())
        task = Task(plain.recv, 10)
        let_it_block()
        other.sendall(b"plain")
        task.note(t, "plain")
        t.outcome("again", left.unwrap)
        t.outcome("read", left.read)
        t.note(left.version(), left.pending(), left.cipher())
        _handshake_again(t, plain, other)
    for suppress in (True, False):
        with pair(suppress_ragged_eofs=suppress) as (left, right):
            right.sendall(b"rest")
            socket.socket.shutdown(right, socket.SHUT_RDWR) if suppress else right.detach_and_close() if False else None
            fd = right.detach()
            os.close(fd)
            t.outcome("recv", left.recv, 10)
            t.outcome("ragged end", left.recv, 10)
            t.outcome("ragged end", left.recv_into, bytearray(5))
            t.outcome("unwrap", left.unwrap)
    with pair() as (left, right):
        task = Task(right.recv, 10)
        let_it_block()
        closing = Task(left.unwrap)
        task.note(t, "recv at the peer's unwrap")
        right.close()
        closing.note(t, "unwrap at the peer's close")
        left.close()
        for name, args in (("recv", (1,)), ("send", (b"x",)), ("read", ()), ("write", (b"x",)), ("unwrap", ()),
                           ("do_handshake", ()), ("getpeercert", ()), ("shutdown", (2,)), ("pending", ())):  # fmt: skip
            t.outcome(name, getattr(left, name), *args)
    with pair() as (left, right):
        task = Task(left.recv, 10)
        let_it_block()
        right.shutdown(socket.SHUT_RDWR)
        task.note(t, "recv at the peer's shutdown")
        t.note(right.version(), right.fileno() >= 0)


def _handshake_again(t: Any, plain: Any, other: Any) -> None:
    server = Task(module_server.wrap_socket, other, server_side=True)
    t.outcome("wrapped again", lambda: module_client.wrap_socket(plain, server_hostname="localhost").version())
    server.join()


def case_certificates(t: Any) -> None:
    with pair() as (left, right):
        found = left.getpeercert()
        assert found
        t.note(sorted(found), found["subjectAltName"], right.getpeercert(), type(left.getpeercert(True)))
        t.note(left.get_channel_binding("tls-unique") is None, left.server_hostname)
        t.note(left.server_side, left.context is module_client)
        t.outcome("bad binding", left.get_channel_binding, "no")
    for name, context, hostname in (("stranger", client_context(stranger), "localhost"), ("name", module_client, "example.org"),
                                    ("no name", module_client, None), ("empty", module_client, ""),
                                    ("dot", module_client, ".x")):  # fmt: skip
        left, right = tcp_pair()
        server = Task(module_server.wrap_socket, right, server_side=True)
        t.outcome(name, context.wrap_socket, left, server_hostname=hostname)
        left.close()
        server.join()
        t.note(type(server.raised).__name__, getattr(server.raised, "reason", None))
        right.close()
    context = server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    client, server_side = unshaken(server=context)
    server = Task(server_side.do_handshake)
    client.do_handshake()
    server.note(t, "no client certificate")
    t.outcome("client", client.recv, 1)
    own = client_context()
    certificate.configure_cert(own)
    with pair(own, context) as (left, right):
        t.note(right.getpeercert()["subjectAltName"])  # type: ignore[index]
    left, right = tcp_pair()
    right.sendall(b"HTTP/1.0 400 not TLS\r\n\r\n")
    t.outcome("not TLS", module_client.wrap_socket, left, server_hostname="localhost")
    left, right = tcp_pair()
    left.sendall(b"GET / HTTP/1.0\r\n\r\n")
    t.outcome("not TLS", module_server.wrap_socket, right, server_side=True)
    left, right = tcp_pair()
    right.close()
    t.outcome("closed", module_client.wrap_socket, left, server_hostname="localhost")


def case_versions_and_protocols(t: Any) -> None:
    server, client = server_context(), client_context()
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    with pair(client, server) as (left, right):
        t.note(left.version(), right.version(), left.session_reused)
        t.note(left.get_channel_binding() == right.get_channel_binding())
    client.minimum_version = ssl.TLSVersion.TLSv1_3
    one, other = unshaken(client, server)
    task = Task(other.do_handshake)
    t.outcome("no version in common", one.do_handshake)
    task.note(t, "server")
    server, client = server_context(), client_context()
    server.set_alpn_protocols(["h2", "http/1.1"])
    client.set_alpn_protocols(["http/1.1", "spdy"])
    names = []

    def named(sock: Any, name: Any, context: Any) -> Any:
        names.append((type(sock).__name__, name, context is server, sock.context is server))
        if name == "localhost":
            sock.context = other_context

    other_context = server_context()
    server.sni_callback = named
    with pair(client, server) as (left, right):
        t.note(left.selected_alpn_protocol(), right.selected_alpn_protocol(), names, right.context is other_context)

    def refuse(sock: Any, name: Any, context: Any) -> Any:
        return ssl.ALERT_DESCRIPTION_ACCESS_DENIED

    server.sni_callback = refuse
    one, other = unshaken(client, server)
    task = Task(other.do_handshake)
    t.outcome("refused", one.do_handshake)
    task.note(t, "server")


def case_sessions(t: Any) -> None:
    server, client = server_context(), client_context()
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    with pair(client, server) as (left, right):
        session = left.session
        t.note(type(session).__name__, left.session_reused, right.session_reused)
    one, other = tcp_pair()
    peer = Task(server.wrap_socket, other, server_side=True)
    again = client.wrap_socket(one, server_hostname="localhost", session=session)
    t.note(again.session_reused, again.session == session, peer.join().session_reused)
    t.outcome("too late", setattr, again, "session", session)
    t.outcome("wrong context", module_client.wrap_socket, tcp_pair()[0], server_hostname="localhost", session=session)
    t.note(server.session_stats()["hits"], server.session_stats()["accept"])


def case_memory_objects(t: Any) -> None:
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = module_client.wrap_bio(to_client, to_server, server_hostname="localhost")
    server = module_server.wrap_bio(to_server, to_client, server_side=True)
    t.outcome("first", client.do_handshake)
    for _ in range(5):
        for side in (server, client):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    t.note(client.version(), type(client).__name__, server.server_side)
    t.outcome("write", client.write, b"in memory")
    t.outcome("read", server.read, 100)
    t.outcome("read", server.read, 100)
    t.outcome("unwrap", client.unwrap)
    t.outcome("end", server.read, 10)


def case_objects(t: Any) -> None:
    with pair() as (left, _):
        t.note(left, left.family, left.type, left.proto, left.fileno() >= 0)
        t.outcome("pickle", pickle.dumps, left)
        t.outcome("direct", ssl.SSLSocket, socket.socket())
        t.outcome("type", ssl.SSLObject)
        fd = left.detach()
        t.note(left.fileno(), fd >= 0)
        os.close(fd)
        t.outcome("detached", left.recv, 1)
    sock = socket.socket(type=socket.SOCK_DGRAM)
    t.outcome("datagrams", module_client.wrap_socket, sock, server_hostname="localhost")
    t.outcome("both", module_server.wrap_socket, socket.socket(), server_side=True, server_hostname="localhost")
    t.outcome("wrong side", module_client.wrap_socket, socket.socket(), server_side=True)


class Named(ssl.SSLSocket):
    """A subclass, for contexts of its own."""

    def recv(self, *args: Any) -> bytes:
        return b"<" + super().recv(*args) + b">"


def case_subclass(t: Any) -> None:
    context = client_context()
    context.sslsocket_class = Named
    with pair(context) as (left, right):
        task = Task(left.recv, 10)
        let_it_block()
        right.sendall(b"data")
        task.note(t, type(left).__name__)


def case_get_server_certificate(t: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain, module_server.wrap_socket(plain, server_side=True) as listener:

        def serve() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                    with peer:
                        if peer.recv(10):
                            return
                except (ssl.SSLError, ConnectionError):
                    continue  # a client that leaves with a ticket unread resets the connection

        task = Task(serve)
        found = ssl.get_server_certificate(listener.getsockname(), timeout=5)
        t.note(found.startswith("-----BEGIN CERTIFICATE-----"))
        with socket.create_connection(listener.getsockname()) as sock:
            with module_client.wrap_socket(sock, server_hostname="localhost") as client:
                t.note(ssl.DER_cert_to_PEM_cert(client.getpeercert(True) or b"") == found)
                client.send(b"stop")
                task.note(t, "server")
    t.outcome("refused", ssl.get_server_certificate, ("127.0.0.1", 1), timeout=5)


def case_many_at_once(t: Any) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:

        def handle(peer: socket.socket) -> None:
            with module_server.wrap_socket(peer, server_side=True) as server:
                with server.makefile("rwb") as file:
                    for line in file:
                        file.write(line.upper())
                        file.flush()

        def serve() -> None:
            for _ in range(8):
                threading.Thread(target=handle, args=(listener.accept()[0],), daemon=True).start()

        def ask(n: int) -> list[bytes]:
            with socket.create_connection(listener.getsockname()) as sock:
                with module_client.wrap_socket(sock, server_hostname="localhost") as client, client.makefile("rwb") as file:
                    answers = []
                    for m in range(5):
                        file.write(b"line %d-%d\n" % (n, m))
                        file.flush()
                        answers.append(file.readline())
                    return answers

        server = Task(serve)
        tasks = [Task(ask, n) for n in range(8)]
        t.note([task.join() for task in tasks])
        server.note(t, "server")


def case_plain_bytes_below(t: Any) -> None:
    with pair() as (left, right):
        t.note(fill(right) > 0 if False else True)
        socket.socket.send(right, b"garbage that is no record")
        t.outcome("garbage", left.recv, 10)
        t.outcome("after it", left.recv, 10)
        t.outcome("unwrap", left.unwrap)
