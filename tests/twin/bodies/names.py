"""Names and addresses: what can be answered without a name server, and what is said where there is none."""

from __future__ import annotations

import socket
import threading
from socket import getaddrinfo, gethostbyname
from typing import Any


def case_getaddrinfo(t: Any) -> None:
    for args in (("127.0.0.1", 80), ("127.0.0.1", "http"), ("::1", 80), (None, 80), (b"127.0.0.1", 80), ("localhost", None),
                 ("", 80), ("127.0.0.1", None), ("0x7f.1", 80), ("1", 1), ("fe80::1%lo", 1)):  # fmt: skip
        try:
            t.note(args, sorted(set(getaddrinfo(*args, type=socket.SOCK_STREAM))))
        except OSError as error:
            t.error(repr(args), error)
    t.outcome("kinds", getaddrinfo, "127.0.0.1", 1, socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDP)
    t.outcome("by name", getaddrinfo, host="127.0.0.1", port=1, family=0, type=socket.SOCK_STREAM, proto=0, flags=0)
    t.outcome("passive", getaddrinfo, None, 0, 0, socket.SOCK_STREAM, 0, socket.AI_PASSIVE | socket.AI_NUMERICSERV)
    t.outcome("canonical", getaddrinfo, "127.0.0.1", 0, 0, socket.SOCK_STREAM, 0, socket.AI_CANONNAME)


def case_bad_arguments(t: Any) -> None:
    t.outcome("nothing", getaddrinfo)
    t.outcome("number", getaddrinfo, 1, 2)
    t.outcome("port", getaddrinfo, "127.0.0.1", 1.5)
    t.outcome("service", getaddrinfo, "127.0.0.1", "no such service")
    t.outcome("family", getaddrinfo, "127.0.0.1", 1, 9999)
    t.outcome("numeric host", getaddrinfo, "localhost", 1, flags=socket.AI_NUMERICHOST)
    t.outcome("null", getaddrinfo, "local\0host", 1)
    t.outcome("surrogate", getaddrinfo, "\udc80", 1)
    t.outcome("long label", getaddrinfo, "x" * 64 + ".example", 1)
    t.outcome("wrong family", getaddrinfo, "::1", 1, socket.AF_INET)
    t.outcome("unknown keyword", getaddrinfo, "127.0.0.1", 1, colour=1)
    for function in (gethostbyname, socket.gethostbyname_ex, socket.gethostbyaddr, socket.getnameinfo, socket.getservbyname,
                     socket.getservbyport, socket.getprotobyname, socket.getfqdn):  # fmt: skip
        t.outcome(function.__name__, function, 1.5)
        t.outcome(function.__name__, function, None, None, None)


def case_names_of_this_machine(t: Any) -> None:
    t.outcome("name", gethostbyname, "localhost")
    t.outcome("number", gethostbyname, "127.0.0.1")
    t.outcome("empty", gethostbyname, "")
    t.outcome("broadcast", gethostbyname, "<broadcast>")
    t.outcome("all", lambda: socket.gethostbyname_ex("127.0.0.1")[2])
    t.outcome("service", socket.getservbyname, "http", "tcp")
    t.outcome("service", socket.getservbyport, 80)
    t.outcome("no service", socket.getservbyname, "no such service")
    t.outcome("no service", socket.getservbyport, 1 << 20)
    t.outcome("protocol", socket.getprotobyname, "tcp")
    t.outcome("no protocol", socket.getprotobyname, "none such")
    flags = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    t.outcome("back", socket.getnameinfo, ("127.0.0.1", 80), flags)
    t.outcome("back", socket.getnameinfo, ("::1", 80, 0, 0), flags)
    t.outcome("not a number", socket.getnameinfo, ("localhost", 80), flags)
    t.outcome("flow", socket.getnameinfo, ("::1", 80, 1 << 30, 0), flags)
    t.note(socket.gethostname() != "")


def case_names_in_threads(t: Any) -> None:
    seen: list[Any] = []

    def look(name: str) -> None:
        try:
            seen.append(gethostbyname(name))
        except OSError as error:
            seen.append(type(error).__name__)

    threads = [threading.Thread(target=look, args=(name,)) for name in ("localhost", "127.0.0.1", "x" * 300) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    t.note(sorted(seen))


def case_addresses_with_names(t: Any) -> None:
    with socket.create_server(("localhost", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.socket() as sock:
            sock.connect(("localhost", port))
            t.note(sock.getpeername())
        with socket.socket() as sock:
            sock.settimeout(5)
            t.note(sock.connect_ex(("localhost", port)))
        with socket.create_connection(("localhost", port), 5, ("localhost", 0)) as sock:
            t.note(sock.getsockname()[0])
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("localhost", 0))
        t.note(sock.sendto(b"x", ("localhost", sock.getsockname()[1])), sock.recv(10))
        t.outcome("long label", sock.sendto, b"x", ("x" * 64 + ".example", 1))
        t.outcome("no such name", lambda: sock.connect(("x" * 300, 1)))
    t.outcome("dual stack", socket.has_dualstack_ipv6)
