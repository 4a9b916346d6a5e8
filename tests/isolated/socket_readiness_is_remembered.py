# run: -m dhagapatch
"""A short read drains a stream socket, also the read that had to wait; the next one parks without a failing call first."""

import socket
import threading

import dhagapatch


def pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        return client, listener.accept()[0]


for receive in (lambda sock: sock.recv(100), lambda sock: sock.recv_into(bytearray(100))):
    client, server = pair()
    thread = threading.Thread(target=receive, args=(server,))
    thread.start()
    client.send(b"one")
    thread.join()
    entry = dhagapatch.get_hub().entries[server.fileno()]
    assert not entry.readable and entry.stream and not entry.sticky, entry
    client.send(b"two")  # a new edge
    assert server.recv(3) == b"two"
    client.send(b"three")
    client.close()
    assert server.recv(100) == b"three" and server.recv(100) == b"" and server.recv(100) == b""
    server.close()
