"""The standard library's own clients and servers over sockets, made of threads."""

from __future__ import annotations

import ftplib
import http.client
import http.server
import io
import smtplib
import socket
import socketserver
import threading
import urllib.error
import urllib.request
import xmlrpc.client
import xmlrpc.server
from contextlib import contextmanager
from typing import Any


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/none":
            self.send_error(404)
            return
        body = f"{self.command} {self.path}".encode() * (2000 if self.path == "/big" else 1)
        self.send_response(200)
        if self.path == "/chunks":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in (b"one", b"two"):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
            return
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[::-1])

    def version_string(self) -> str:
        return "test"

    def date_time_string(self, timestamp: Any = None) -> str:
        return "now"

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def serving(server: Any) -> Any:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def case_http(t: Any) -> None:
    with serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as address:
        client = http.client.HTTPConnection(*address, timeout=5)
        for method, path, body in (("GET", "/", None), ("GET", "/big", None), ("GET", "/chunks", None), ("GET", "/none", None),
                                   ("POST", "/", b"abc"), ("POST", "/", b"x" * 100_000), ("GET", "/last", None)):  # fmt: skip
            client.request(method, path, body)
            response = client.getresponse()
            data = response.read()
            t.note(method, path, response.status, response.reason, len(data), data[:20], sorted(response.getheaders())[:3])
        client.close()
        url = f"http://127.0.0.1:{address[1]}"
        with urllib.request.urlopen(f"{url}/by-url", timeout=5) as response:
            t.note(response.status, response.read())
        try:
            urllib.request.urlopen(f"{url}/none", timeout=5)
        except urllib.error.HTTPError as error:
            t.note(error.code, str(error))
            error.close()
        seen: list[Any] = []

        def fetch(n: int) -> None:
            with urllib.request.urlopen(f"{url}/{n}", timeout=5) as response:
                seen.append(response.read())

        threads = [threading.Thread(target=fetch, args=(n,)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        t.note(sorted(seen))
    t.outcome("refused", lambda: http.client.HTTPConnection(*address, timeout=5).request("GET", "/"))


def case_http_timeout(t: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = http.client.HTTPConnection(*listener.getsockname(), timeout=0.05)
        client.request("GET", "/")
        t.outcome("no answer", client.getresponse)
        client.close()
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.05)
        except OSError as error:
            t.note(type(error).__name__, str(error))


class Echo(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(line.upper())


class EchoDatagram(socketserver.DatagramRequestHandler):
    def handle(self) -> None:
        self.wfile.write(self.rfile.read().upper())


def case_socketserver(t: Any) -> None:
    for kind in (socketserver.TCPServer, socketserver.ThreadingTCPServer, socketserver.ForkingTCPServer):
        with serving(kind(("127.0.0.1", 0), Echo)) as address:
            for _ in range(2):
                with socket.create_connection(address, 5) as sock, sock.makefile("rw") as file:
                    file.write("hello\n")
                    file.flush()
                    t.note(kind.__name__, file.readline())
                    sock.shutdown(socket.SHUT_WR)  # a forked child has this end too, and would never see it closed
    for kind in (socketserver.UDPServer, socketserver.ThreadingUDPServer):
        with serving(kind(("127.0.0.1", 0), EchoDatagram)) as address, socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            sock.sendto(b"hello", address)
            t.note(kind.__name__, sock.recv(100))


def case_socketserver_handle_request(t: Any) -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), Echo) as server:
        server.timeout = 0.02
        server.handle_timeout = lambda: t.note("timed out")
        server.handle_request()
        sock = socket.create_connection(server.server_address)
        sock.sendall(b"x\n")
        sock.shutdown(socket.SHUT_WR)
        server.handle_request()
        t.note(sock.recv(10), sock.recv(10))
        sock.close()


def case_xmlrpc(t: Any) -> None:
    server = xmlrpc.server.SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False, allow_none=True)
    server.register_function(pow)
    server.register_function(lambda: None, "nothing")
    with serving(server) as address, xmlrpc.client.ServerProxy(f"http://127.0.0.1:{address[1]}", allow_none=True) as proxy:
        t.note(proxy.pow(2, 10), proxy.nothing())
        t.outcome("unknown", proxy.unknown)
        t.outcome("bad", proxy.pow, "x", 1)


def scripted(*lines: tuple[bytes, bytes]) -> tuple[Any, list[bytes], threading.Thread]:
    """A server that says the second of each pair when the first has come (b"": at once)."""
    listener = socket.create_server(("127.0.0.1", 0))
    got: list[bytes] = []

    def serve() -> None:
        with listener, listener.accept()[0] as sock, sock.makefile("rwb") as file:
            for expected, answer in lines:
                if expected:
                    while not (line := file.readline()).upper().startswith(expected):
                        got.append(line)
                    got.append(line)
                file.write(answer)
                file.flush()

    thread = threading.Thread(target=serve)
    thread.start()
    return listener.getsockname(), got, thread


def case_smtp(t: Any) -> None:
    address, got, thread = scripted(
        (b"", b"220 hello\r\n"), (b"EHLO", b"250 here\r\n"), (b"MAIL", b"250 ok\r\n"), (b"RCPT", b"250 ok\r\n"),
        (b"DATA", b"354 go on\r\n"), (b".\r\n", b"250 taken\r\n"), (b"QUIT", b"221 bye\r\n"),
    )  # fmt: skip
    with smtplib.SMTP(*address, local_hostname="here", timeout=5) as client:
        t.note(client.sendmail("a@example", ["b@example"], "Subject: x\n\nbody\n.\nend"))
    thread.join()
    t.note(got)


def case_ftp(t: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as data:
        port = data.getsockname()[1]

        def send() -> None:
            with data.accept()[0] as sock:
                sock.sendall(b"line one\r\nline two\r\n")

        sender = threading.Thread(target=send)
        sender.start()
        address, got, thread = scripted(
            (b"", b"220 hello\r\n"), (b"USER", b"331 word?\r\n"), (b"PASS", b"230 in\r\n"), (b"TYPE", b"200 ok\r\n"),
            (b"EPSV", b"229 ready (|||%d|)\r\n" % port), (b"PASV", b"227 =127,0,0,1,%d,%d\r\n" % divmod(port, 256)),
            (b"RETR", b"150 here\r\n226 done\r\n"), (b"QUIT", b"221 bye\r\n"),
        )  # fmt: skip
        with ftplib.FTP(timeout=5) as client:
            t.note(client.connect(*address))
            t.note(client.login("user", "word"))
            client.af = socket.AF_INET
            client.sendcmd("TYPE A")
            client.sendcmd("EPSV")
            lines: list[str] = []
            with client.transfercmd("RETR file") as sock, sock.makefile("r") as file:
                lines += [line.strip() for line in file]
            t.note(client.voidresp(), lines)
            t.note(client.quit())
        thread.join()
        sender.join()
        t.note(got)


def case_makefile_of_a_response(t: Any) -> None:
    left, right = socket.socketpair()
    with left, right:
        right.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        response = http.client.HTTPResponse(left)
        response.begin()
        with io.TextIOWrapper(response) as text:
            t.note(text.read())
