# run: -m dhagapatch
"""A TLS read whose socket is closed while it waits ends there, and does not touch who has the number then."""

import socket
import ssl
import threading
import time

import trustme

authority = trustme.CA()
server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
authority.issue_cert("localhost").configure_cert(server_context)
client_context = ssl.create_default_context()
authority.configure_trust(client_context)


def connect():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        plain = socket.create_connection(listener.getsockname())
        peer = listener.accept()[0]
    served = []
    thread = threading.Thread(target=lambda: served.append(server_context.wrap_socket(peer, server_side=True)))
    thread.start()
    client = client_context.wrap_socket(plain, server_hostname="localhost")
    thread.join()
    return client, served[0]


def receive(tls):
    return tls.recv(100)


def receive_into(tls):
    room = bytearray(100)
    return bytes(room[: tls.recv_into(room)])


for read in (receive, receive_into):
    for timeout in (None, 10):
        for rounds in (0, 1, 3):  # after some of them a read waits before it tries
            a, b = connect()
            a.settimeout(timeout)
            for _ in range(rounds):
                b.sendall(b"early")
                assert read(a) == b"early"
            outcome = []

            def wait(a=a, outcome=outcome, read=read):
                try:
                    outcome.append(read(a))
                except (OSError, ValueError) as error:
                    outcome.append(error)

            reader = threading.Thread(target=wait)
            reader.start()
            time.sleep(0.01)
            assert not outcome
            number = a.fileno()
            a.close()
            x, y = socket.socketpair()  # before the reader has its turn
            mine, other = (x, y) if x.fileno() == number else (y, x)
            assert mine.fileno() == number and not outcome, "the number was to come again at once"
            other.sendall(b"not for you")
            reader.join(5)
            assert not reader.is_alive() and isinstance(outcome[0], Exception), outcome
            mine.settimeout(5)
            assert mine.recv(100) == b"not for you" and mine.getblocking()
            for one in (x, y, b):
                one.close()
