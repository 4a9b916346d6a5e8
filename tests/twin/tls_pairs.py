"""What the bodies about TLS share: contexts, made before the patch, and pairs of sockets."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from typing import Any

import trustme
from network import Task, tcp_pair

authority = trustme.CA()
certificate = authority.issue_cert("localhost", "127.0.0.1")


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def client_context(authority: Any = authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


module_server = server_context()
module_client = client_context()


def handshake(client: ssl.SSLSocket, server: ssl.SSLSocket) -> None:
    task = Task(server.do_handshake)
    client.do_handshake()
    task.join()


def unshaken(client: Any = None, server: Any = None, **kwargs: Any) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    left, right = tcp_pair()
    kwargs = {"do_handshake_on_connect": False, **kwargs}
    server_side = (server or module_server).wrap_socket(right, server_side=True, **kwargs)
    return (client or module_client).wrap_socket(left, server_hostname="localhost", **kwargs), server_side


@contextlib.contextmanager
def pair(client: Any = None, server: Any = None, **kwargs: Any) -> Iterator[tuple[ssl.SSLSocket, ssl.SSLSocket]]:
    left, right = unshaken(client, server, **kwargs)
    with left, right:
        handshake(left, right)
        yield left, right
