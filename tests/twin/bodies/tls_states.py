"""TLS: what a read does, or says at once, though nothing comes; what changes while a read waits."""

from __future__ import annotations

import ctypes
import socket
import ssl
import threading
import time
from typing import Any

from network import SHORT, Task, let_it_block, tcp_pair
from tls_pairs import authority, certificate, client_context, module_client, module_server, pair, server_context

LONG = 5.0  # seconds: a timeout that is not meant to pass


def _settled(left: ssl.SSLSocket, right: ssl.SSLSocket) -> None:
    """Both have received, and a read of `left` has waited for what had not come: what is known of the descriptor is known."""
    for one, other in ((left, right), (right, left)):
        task = Task(one.recv, 10)
        let_it_block()
        other.sendall(b"settled")
        task.join()
        one.settimeout(LONG)


def _asking_later() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a server and a client for authentication after the handshake."""
    server, client = server_context(), client_context()
    server.verify_mode = ssl.CERT_OPTIONAL
    server.post_handshake_auth = client.post_handshake_auth = True
    authority.configure_trust(server)
    return server, client


def case_after_the_end(t: Any) -> None:
    for timeout in (LONG, None):
        with pair() as (left, right):
            _settled(left, right)
            left.settimeout(timeout)
            closing = Task(right.unwrap)  # says that nothing more comes, and waits for the same from here
            t.outcome("end", left.recv, 10)
            t.outcome("again", left.recv, 10)
            t.outcome("into", left.recv_into, bytearray(5))
            t.outcome("file", lambda: left.makefile("rb").readline())
            left.sendall(b"can be sent still")
            t.outcome("unwrap", lambda: type(left.unwrap()))
            closing.join()


def case_after_an_error(t: Any) -> None:
    for timeout in (LONG, None):
        with pair() as (left, right):
            _settled(left, right)
            left.settimeout(timeout)
            plain = socket.socket(fileno=right.detach())
            with plain:
                plain.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))  # a record that nobody can decipher
                for _ in range(3):
                    t.outcome("recv", left.recv, 10)
                t.outcome("send", left.send, b"x")
                t.outcome("recv", left.recv_into, bytearray(5))


def case_after_a_timeout(t: Any) -> None:
    with pair() as (left, right):
        _settled(left, right)

        def compute_and_end() -> None:
            end = time.monotonic() + 3 * SHORT
            while time.monotonic() < end:  # beyond the other's timeout: what it then reads, as it runs out of time, is the end
                pass
            right.settimeout(LONG)
            right.unwrap()

        left.settimeout(2 * SHORT)
        task = Task(left.recv, 10)
        let_it_block()
        ending = Task(compute_and_end)
        task.join()  # natively it is out of time before
        time.sleep(2 * SHORT)
        left.settimeout(LONG)
        for _ in range(3):
            t.outcome("recv", left.recv, 10)
        left.close()
        ending.join()


def case_a_read_that_has_something_to_write(t: Any) -> None:
    server, client = _asking_later()
    authority.issue_cert(*[f"host{number:06}.{'x' * 40}.example.org" for number in range(700)]).configure_cert(client)
    with socket.socket() as listener, socket.socket() as plain:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        plain.connect(listener.getsockname())
        accepted = Task(lambda: server.wrap_socket(listener.accept()[0], server_side=True))
        left = client.wrap_socket(plain, server_hostname="localhost")
        right = accepted.join()
        with left, right:
            _settled(left, right)
            right.verify_client_post_handshake()
            right.settimeout(SHORT)
            t.outcome("asks", right.recv, 10)
            left.settimeout(2 * SHORT)
            for _ in range(2):
                t.outcome("out of time in the middle of its certificate", left.recv, 10)

            def greet() -> None:
                deadline = time.monotonic() + LONG
                while right.getpeercert() is None and time.monotonic() < deadline:
                    try:
                        right.recv(10)
                    except TimeoutError:
                        pass
                right.sendall(b"welcome")

            greeting = Task(greet)
            left.settimeout(LONG)
            t.outcome("goes on with it", left.recv, 10)
            greeting.join()


def case_a_read_begins_the_handshake(t: Any) -> None:
    for timeout in (LONG, None):
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def serve() -> str:
                plain, _ = listener.accept()
                with module_server.wrap_socket(plain, server_side=True) as server:
                    server.sendall(b"welcome")
                    return str(server.recv(10))

            task = Task(serve)
            with socket.socket() as plain:
                plain.settimeout(timeout)
                client = module_client.wrap_socket(plain, server_hostname="localhost", do_handshake_on_connect=False)
                with client:
                    client.connect(listener.getsockname())
                    t.outcome("recv", client.recv, 10)
                    client.sendall(b"thanks")
                    task.note(t, "server")


def case_a_read_asks_for_the_certificate(t: Any) -> None:
    server, client = _asking_later()
    certificate.configure_cert(client)
    with pair(client, server) as (left, right):
        _settled(left, right)
        t.note(left.version(), right.getpeercert())
        right.verify_client_post_handshake()
        answer = Task(lambda: (left.recv(10), left.sendall(b"mine"))[0])
        asking = Task(right.recv, 10)  # sends the question, and takes what comes
        let_it_block()
        right.sendall(b"yours")
        answer.note(t, "client")
        asking.note(t, "server")
        t.note(bool(right.getpeercert()))


def case_arguments_before_waiting(t: Any) -> None:
    for sizes in (True, False):
        with pair() as (left, right):
            _settled(left, right)
            if sizes:
                for size in (1 << 70, 1 << 62, "x", 1.0):
                    t.outcome(f"recv({size!r})", left.recv, size)
                for size in (1 << 70, "x", 1.0):
                    t.outcome(f"recv_into({size!r})", left.recv_into, bytearray(5), size)
                t.outcome("recv(-1)", left.recv, -1)
                continue
            released = memoryview(bytearray(5))
            released.release()
            for buffer in (b"bytes", memoryview(b"bytes"), memoryview(bytearray(10))[::2], released, "text", 5):
                t.outcome(f"recv_into({type(buffer).__name__})", left.recv_into, buffer, 3)
                t.outcome(f"read({type(buffer).__name__})", left.read, 3, buffer)
            for buffer in (memoryview(ctypes.c_char(b"a")), (ctypes.c_int * 3)(), memoryview(bytearray(12)).cast("i")):
                right.sendall(b"abc")
                t.outcome(f"read({buffer!r:.20})", left._sslobj.read, 3, buffer)  # type: ignore[union-attr]
                while left.pending():
                    t.outcome("rest", left.recv, 10)


def case_the_buffer_stays(t: Any) -> None:
    with pair() as (left, right):
        _settled(left, right)
        left.settimeout(None)
        buffer = bytearray(10)
        task = Task(left.recv_into, buffer)
        let_it_block()
        t.outcome("clear", buffer.clear)
        t.outcome("extend", buffer.extend, b"more")
        right.sendall(b"data")
        task.note(t, "recv_into")
        t.note(buffer)
        t.outcome("afterwards", buffer.extend, b"more")
        data = bytearray(8 << 20)
        sending = Task(right.sendall, data)
        let_it_block()
        t.outcome("clear", data.clear)
        count = 0
        while count < len(data):
            count += len(left.recv(1 << 20))
        sending.note(t, "sendall")
        t.note(count)
        t.outcome("afterwards", data.clear)
        left.settimeout(SHORT)
        t.outcome("timed out", left.recv_into, buffer)
        t.outcome("afterwards", buffer.clear)


def case_made_nonblocking_during_a_wait(t: Any) -> None:
    client, below = tcp_pair()
    above, server_end = tcp_pair()
    cut = threading.Event()

    def forward(source: socket.socket, sink: socket.socket) -> None:
        while data := source.recv(65536):
            if cut.is_set() and source is above:
                sink.sendall(data[:9])
                time.sleep(0.05)
                data = data[9:]
            sink.sendall(data)

    forwarding = [Task(forward, below, above), Task(forward, above, below)]
    serving = Task(module_server.wrap_socket, server_end, server_side=True)
    left = module_client.wrap_socket(client, server_hostname="localhost")
    right = serving.join()
    with left, right:
        _settled(left, right)
        left.settimeout(None)
        cut.set()
        task = Task(left.recv, 10)
        let_it_block()
        left.setblocking(False)
        right.sendall(b"in two pieces")
        task.note(t, "recv")
    below.close()
    above.close()
    for one in forwarding:
        one.thread.join(0.001)
