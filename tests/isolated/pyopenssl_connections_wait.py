"""A pyOpenSSL connection over a blocking socket waits for the others; one with a timeout, or without a socket, is as natively."""

import socket
import threading

from shared.packages import put_in_place

import dhagapatch

MODULE = """
import os

class Error(Exception): pass
class WantReadError(Error): pass
class WantWriteError(Error): pass

class Connection:
    # as OpenSSL's, without the encryption: it reads and writes the descriptor in C, and sends what there is room for
    def __init__(self, sock):
        self._socket = sock
        self._fd = None if sock is None else sock.fileno()

    def recv(self, bufsiz, flags=None):
        "The manual."
        if self._fd is None:
            raise WantReadError
        try:
            return os_read(self._fd, bufsiz)
        except BlockingIOError:
            raise WantReadError

    read = recv

    def send(self, buf, flags=0):
        try:
            return os_write(self._fd, buf.encode() if isinstance(buf, str) else buf)
        except BlockingIOError:
            raise WantWriteError

    write = send

    def sendall(self, buf, flags=0):
        sent = 0
        while sent < len(buf):
            sent += self.send.__wrapped__(self, buf[sent:]) if hasattr(self.send, "__wrapped__") else self.send(buf[sent:])
        return sent

    def recv_into(self, buffer, nbytes=None, flags=None): pass
    def do_handshake(self): pass
    def shutdown(self): pass
"""

put_in_place("OpenSSL", SSL=MODULE)
dhagapatch.patch_all()
from OpenSSL import SSL

SSL.os_read, SSL.os_write = dhagapatch.original("posix", "read"), dhagapatch.original("posix", "write")
assert SSL.Connection.recv.__doc__ == "The manual." and SSL.Connection.read is SSL.Connection.recv

ours, theirs = socket.socketpair()
here, there = SSL.Connection(ours), SSL.Connection(theirs)
got = []
thread = threading.Thread(target=lambda: got.append(there.read(5)))
thread.start()
assert here.send(b"hello") == 5
thread.join(10)
assert got == [b"hello"]
assert ours.gettimeout() is None and theirs.getblocking(), "the socket shows what the user made of it"

def read_all(wanted, parts):
    while sum(map(len, parts)) < wanted:
        parts.append(there.recv(100_000))


# more than there is room for, as bytes, as memory and as text; each byte once
for data in (bytes(range(256)) * 4000, memoryview(bytes(range(256)) * 4000), "text" * 300_000):
    parts = []
    thread = threading.Thread(target=read_all, args=(len(data), parts))
    thread.start()
    assert here.sendall(data) == len(data)
    thread.join(10)
    assert b"".join(parts) == (data.encode() if isinstance(data, str) else bytes(data))

theirs.settimeout(5)
for connection in (there, SSL.Connection(None)):
    try:
        connection.recv(1)
    except SSL.WantReadError:
        pass
    else:
        raise AssertionError
theirs.settimeout(None)

# closed while it waits
said = []


def wait():
    try:
        there.recv(1)
    except OSError as error:
        said.append(error.strerror)


thread = threading.Thread(target=wait)
thread.start()
theirs.close()
thread.join(10)
assert said == ["Bad file descriptor"]

dhagapatch.unpatch_all()
assert SSL.Connection.recv.__code__.co_filename == SSL.__file__ and SSL.Connection.read is SSL.Connection.recv
