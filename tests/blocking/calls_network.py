"""Calls that make a thread wait for the network: sockets, TLS, select, names, and the libraries above them.

Each is called in three threads at once as `call(after)`; `after(seconds, function)` runs `function` in another thread.
"""

from __future__ import annotations

import _socket
import contextlib
import ctypes
import ftplib
import functools
import http.client
import imaplib
import io
import os
import poplib
import select
import selectors
import smtplib
import socket
import socketserver
import ssl
import tempfile
import threading
import urllib.request
import xmlrpc.client
from collections.abc import Callable, Iterator
from typing import Any

import trustme
from twin.network import fill, tcp_pair

from dhagapatch import _real, is_patched

After = Callable[[float, Callable[[], object]], None]
PAUSE = 0.3  # seconds that each call takes
CALLS: dict[str, Callable[[After], object]] = {}

_authority = trustme.CA()
SERVER = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
_authority.issue_cert("localhost", "127.0.0.1").configure_cert(SERVER)
CLIENT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_authority.configure_trust(CLIENT)


def blocks(name: str) -> Callable[[Callable[[After], object]], Callable[[After], object]]:
    """Enter a call under `name`."""

    def enter(call: Callable[[After], object]) -> Callable[[After], object]:
        assert name not in CALLS
        CALLS[name] = call
        return call

    return enter


Pair = tuple[socket.socket, socket.socket]


@contextlib.contextmanager
def closing(pair: tuple[Any, Any]) -> Iterator[tuple[Any, Any]]:
    with pair[0], pair[1]:
        yield pair


def datagrams() -> Pair:
    left, right = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
    left.bind(("127.0.0.1", 0))
    right.connect(left.getsockname())
    return left, right


# receiving

_RECEIVERS: dict[str, Callable[[Any], object]] = {
    "recv": lambda sock: sock.recv(10),
    "recv_into": lambda sock: sock.recv_into(bytearray(10)),
    "recvfrom": lambda sock: sock.recvfrom(10),
    "recvfrom_into": lambda sock: sock.recvfrom_into(bytearray(10)),
    "recvmsg": lambda sock: sock.recvmsg(10),
    "recvmsg_into": lambda sock: sock.recvmsg_into([bytearray(10)]),
}
_STREAM_RECEIVERS: dict[str, Callable[[Any], object]] = {
    "recv, MSG_PEEK": lambda sock: sock.recv(10, socket.MSG_PEEK),
    "recv, MSG_WAITALL": lambda sock: sock.recv(2, socket.MSG_WAITALL),
    "makefile, readline": lambda sock: sock.makefile().readline(),
    "makefile rb, read": lambda sock: sock.makefile("rb").read(2),
    "makefile rb 0, read": lambda sock: sock.makefile("rb", 0).read(2),
    "makefile rw, readline": lambda sock: sock.makefile("rw").readline(),
    "select.select": lambda sock: select.select([sock], [], []),
    "select.poll": lambda sock: _polled(select.poll(), sock),
    "select.epoll": lambda sock: _polled(select.epoll(), sock),
    "selectors.SelectSelector": lambda sock: _selected(selectors.SelectSelector(), sock),
    "selectors.PollSelector": lambda sock: _selected(selectors.PollSelector(), sock),
    "selectors.EpollSelector": lambda sock: _selected(selectors.EpollSelector(), sock),
    "selectors.DefaultSelector": lambda sock: _selected(selectors.DefaultSelector(), sock),
}


def _polled(poller: Any, sock: Any) -> object:
    poller.register(sock.fileno(), select.POLLIN)
    return poller.poll()


def _selected(selector: Any, sock: Any) -> object:
    with selector:
        selector.register(sock, selectors.EVENT_READ)
        return selector.select()


def _receives(make: Callable[[], Pair], receive: Callable[[Any], object], after: After) -> None:
    with closing(make()) as (left, right):
        after(PAUSE, lambda: right.send(b"x\n"))
        receive(left)


for _name, _receive in _RECEIVERS.items():
    for _kind, _make in (("TCP", tcp_pair), ("UDP", datagrams), ("UNIX", socket.socketpair)):
        CALLS[f"{_name}, {_kind}"] = functools.partial(_receives, _make, _receive)
for _name, _receive in _STREAM_RECEIVERS.items():
    CALLS[_name] = functools.partial(_receives, tcp_pair, _receive)


def _times_out(receive: Callable[[Any], object], after: After) -> None:
    with closing(tcp_pair()) as (left, _right):
        left.settimeout(PAUSE)
        with contextlib.suppress(TimeoutError):
            receive(left)


for _name, _receive in {**_RECEIVERS, "makefile, readline": _STREAM_RECEIVERS["makefile, readline"]}.items():
    CALLS[f"{_name}, timeout"] = functools.partial(_times_out, _receive)

# sending

_SENDERS: dict[str, Callable[[Any], object]] = {
    "send": lambda sock: sock.send(b"x"),
    "sendall": lambda sock: sock.sendall(b"x" * 1000),
    "sendmsg": lambda sock: sock.sendmsg([b"x", b"y"]),
    "sendfile": lambda sock: sock.sendfile(_file()),
    "sendfile, not a regular file": lambda sock: sock.sendfile(io.BytesIO(b"x")),
    "makefile wb, flush": lambda sock: _flushed(sock.makefile("wb")),
    "select.select, writing": lambda sock: select.select([], [sock], []),
}


def _file() -> Any:
    file = tempfile.TemporaryFile()  # noqa: SIM115
    file.write(b"content")
    file.seek(0)
    return file


def _flushed(file: Any) -> None:
    file.write(b"x")
    file.flush()


def _drain(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it may be closed already: a little room was enough
        while sock.recv(1_000_000, socket.MSG_DONTWAIT):
            pass


def _sends(make: Callable[[], Pair], send: Callable[[Any], object], after: After) -> None:
    with closing(make()) as (left, right):
        fill(left)
        after(PAUSE, lambda: _drain(right))
        send(left)


for _name, _send in _SENDERS.items():
    CALLS[f"{_name}, UNIX"] = functools.partial(_sends, socket.socketpair, _send)


@blocks("sendto")
def _(after: After) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as right:
        name = os.path.join(tempfile.mkdtemp(), "name")
        right.bind(name)
        left.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                left.sendto(b"x", name)
        left.setblocking(True)
        after(PAUSE, lambda: right.recv(10))
        left.sendto(b"x", name)


@blocks("sendall, timeout")
def _(after: After) -> None:
    with closing(tcp_pair()) as (left, _right):
        fill(left)
        left.settimeout(PAUSE)
        with contextlib.suppress(TimeoutError):
            left.sendall(bytes(10_000_000))


# connections


def _accepts(timeout: float | None, after: After) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(timeout)
        if timeout == PAUSE:
            with contextlib.suppress(TimeoutError):
                listener.accept()
        else:
            after(PAUSE, lambda: socket.create_connection(listener.getsockname()).close())
            listener.accept()[0].close()


for _timeout in (None, PAUSE, 5):
    CALLS[f"accept, {_timeout}"] = functools.partial(_accepts, _timeout)


@contextlib.contextmanager
def full_listener() -> Iterator[Any]:
    """An address at which a connection is neither accepted nor refused."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        with socket.create_connection(listener.getsockname()):
            yield listener.getsockname()


def _connects(how: str, after: After) -> None:
    with full_listener() as address, socket.socket() as sock:
        sock.settimeout(PAUSE)
        with contextlib.suppress(TimeoutError):
            if how == "create_connection":
                socket.create_connection(address, PAUSE)
            else:
                getattr(sock, how)(address)


for _name in ("connect", "connect_ex", "create_connection"):
    CALLS[_name] = functools.partial(_connects, _name)


@blocks("connect, UNIX")
def _(after: After) -> None:
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as sock:
        name = os.path.join(tempfile.mkdtemp(), "name")
        listener.bind(name)
        listener.listen(0)
        first.connect(name)
        after(PAUSE, lambda: listener.accept()[0].close())
        sock.connect(name)


# TLS


def tls_pair(pair: Callable[[], tuple[Any, Any]] = tcp_pair) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    """Two ends of a TLS connection, as far as `do_handshake_on_connect=False` brings them."""
    left, right = pair()
    client = CLIENT.wrap_socket(left, server_hostname="localhost", do_handshake_on_connect=False)
    return client, SERVER.wrap_socket(right, server_side=True, do_handshake_on_connect=False)


def _handshake_of(one: Any, other: Any, after: After) -> None:
    done = threading.Event()
    after(PAUSE, lambda: (other.do_handshake(), done.set()))
    one.do_handshake()
    done.wait()


@contextlib.contextmanager
def tls(after: After, pair: Callable[[], tuple[Any, Any]] = tcp_pair) -> Iterator[tuple[ssl.SSLSocket, ssl.SSLSocket]]:
    with closing(tls_pair(pair)) as (client, server):
        done = threading.Event()

        def serve() -> None:
            server.do_handshake()
            server.sendall(b"!")  # brings the session tickets too
            done.set()

        after(0, serve)
        client.do_handshake()
        client.recv(1)
        done.wait()
        yield client, server


@blocks("TLS handshake, client")
def _(after: After) -> None:
    with closing(tls_pair()) as (client, server):
        _handshake_of(client, server, after)


@blocks("TLS handshake, server")
def _(after: After) -> None:
    with closing(tls_pair()) as (client, server):
        _handshake_of(server, client, after)


@blocks("TLS handshake, timeout")
def _(after: After) -> None:
    with closing(tls_pair()) as (client, _server):
        client.settimeout(PAUSE)
        with contextlib.suppress(TimeoutError):
            client.do_handshake()


@blocks("TLS wrap_socket")
def _(after: After) -> None:
    with closing(tcp_pair()) as (left, right):
        done = threading.Event()
        after(PAUSE, lambda: (SERVER.wrap_socket(right, server_side=True), done.set()))
        CLIENT.wrap_socket(left, server_hostname="localhost").close()
        done.wait()


def _tls_receives(receive: Callable[[Any], object], after: After) -> None:
    with tls(after) as (client, server):
        after(PAUSE, lambda: server.sendall(b"x\n"))
        receive(client)


for _name, _receive in {
    "read": lambda sock: sock.read(5),
    "read into": lambda sock: sock.read(5, bytearray(5)),
    "recv": lambda sock: sock.recv(5),
    "recv_into": lambda sock: sock.recv_into(bytearray(5)),
    "makefile": lambda sock: sock.makefile().readline(),
}.items():
    CALLS[f"TLS {_name}"] = functools.partial(_tls_receives, _receive)


def _tls_sends(send: Callable[[Any, bytes], object], after: After) -> None:
    # over UNIX sockets: TCP moves data to the other side, and has room again, some time after it was full
    with tls(after, socket.socketpair) as (client, server):
        data = bytes(3_000_000)

        def read() -> None:
            with contextlib.suppress(OSError):
                while server.recv(1_000_000):
                    pass

        fill_tls(client)
        after(PAUSE, read)
        send(client, data)


def fill_tls(sock: ssl.SSLSocket) -> None:
    sock.settimeout(0.0)
    with contextlib.suppress(ssl.SSLWantWriteError):
        while True:
            sock.send(bytes(16384))
    sock.settimeout(None)
    # HAZARD: OpenSSL must be given the same data again after it had no room; which of the zeros does not matter


for _name in ("write", "send", "sendall"):
    CALLS[f"TLS {_name}"] = functools.partial(_tls_sends, lambda sock, data, name=_name: getattr(sock, name)(data[:16384]))


@blocks("TLS unwrap")
def _(after: After) -> None:
    with tls(after) as (client, server):
        after(PAUSE, server.unwrap)
        client.unwrap()


@blocks("TLS accept and get_server_certificate")
def _(after: After) -> None:
    with SERVER.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True) as listener:
        after(PAUSE, lambda: ssl.get_server_certificate(listener.getsockname()))
        with contextlib.suppress(OSError):
            listener.accept()[0].close()


# names: by something slow in the place of the C library


def _slow(real: Callable[..., Any]) -> Callable[..., Any]:
    def look_up(*args: Any, **kwargs: Any) -> Any:
        ctypes.CDLL(None).usleep(int(PAUSE * 1e6))
        return real(*args, **kwargs)

    return look_up


def _looks_up(name: str, call: Callable[[], object], after: After) -> None:
    holder: Any = _real if is_patched("dns") else socket if name.startswith("get") and name != "getaddrinfo" else _socket
    with _swapped(holder, name):
        call()


_swaps: dict[str, int] = {}


@contextlib.contextmanager
def _swapped(holder: Any, name: str) -> Iterator[None]:
    """The slow one, as long as any of the three threads needs it."""
    real = getattr(_socket, f"_test_{name}", None)
    if real is None:
        real = getattr(holder, name)
        setattr(_socket, f"_test_{name}", real)
    _swaps[name] = _swaps.get(name, 0) + 1
    setattr(holder, name, _slow(real))
    try:
        yield
    finally:
        _swaps[name] -= 1
        if not _swaps[name]:
            setattr(holder, name, real)


for _name, _look_up in {
    "getaddrinfo": lambda: socket.getaddrinfo("localhost", 80),
    "gethostbyname": lambda: socket.gethostbyname("localhost"),
    "gethostbyname_ex": lambda: socket.gethostbyname_ex("localhost"),
    "gethostbyaddr": lambda: socket.gethostbyaddr("127.0.0.1"),
    "getnameinfo": lambda: socket.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICSERV),
}.items():
    CALLS[_name] = functools.partial(_looks_up, _name, _look_up)

# libraries


@contextlib.contextmanager
def slow_server(after: After, said: bytes) -> Iterator[Any]:
    """The address of a server that says something after a while, whatever it is asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            after(PAUSE, lambda: _say(peer, said))

        after(0, serve)
        yield listener.getsockname()


def _say(peer: socket.socket, said: bytes) -> None:
    with peer, contextlib.suppress(OSError):
        peer.sendall(said)
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(1000):
            pass


_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s"
_XML = xmlrpc.client.dumps((1,), methodresponse=True).encode()


@blocks("http.client")
def _(after: After) -> None:
    with slow_server(after, _RESPONSE % (2, b"ok")) as (host, port):
        connection = http.client.HTTPConnection(host, port)
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"ok"
        connection.close()


@blocks("urllib.request")
def _(after: After) -> None:
    with slow_server(after, _RESPONSE % (2, b"ok")) as (host, port):
        # with a context of its own: the default one reads the system's certificates, 50 ms of work and no wait
        https = urllib.request.HTTPSHandler(context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), https)
        assert opener.open(f"http://{host}:{port}/").read() == b"ok"


@blocks("xmlrpc.client")
def _(after: After) -> None:
    with slow_server(after, _RESPONSE % (len(_XML), _XML)) as (host, port):
        with xmlrpc.client.ServerProxy(f"http://{host}:{port}/") as proxy:
            assert proxy.anything() == 1


@blocks("smtplib")
def _(after: After) -> None:
    with slow_server(after, b"220 hello\r\n") as (host, port):
        smtplib.SMTP(host, port, "localhost").close()


@blocks("ftplib")
def _(after: After) -> None:
    with slow_server(after, b"220 hello\r\n") as (host, port):
        ftp = ftplib.FTP()
        ftp.connect(host, port)
        ftp.close()


@blocks("poplib")
def _(after: After) -> None:
    with slow_server(after, b"+OK hello\r\n") as (host, port):
        poplib.POP3(host, port).close()


@blocks("imaplib")
def _(after: After) -> None:
    with slow_server(after, b"* OK hello\r\n* CAPABILITY IMAP4rev1\r\nx OK done\r\n") as (host, port):
        with contextlib.suppress(imaplib.IMAP4.abort):
            imaplib.IMAP4(host, port).shutdown()


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(self.rfile.readline())


@blocks("socketserver.handle_request")
def _(after: After) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Handler) as server:
        after(PAUSE, lambda: socket.create_connection(server.server_address[:2]).close())  # type: ignore[arg-type]
        server.handle_request()


@blocks("socketserver.serve_forever")
def _(after: After) -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), _Handler) as server:
        after(PAUSE, server.shutdown)
        server.serve_forever(0.05)
