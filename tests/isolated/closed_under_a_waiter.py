# run: -m dhagapatch
"""What a descriptor's close does to those that wait for it: they end, with the error of the closed one."""

import errno
import os
import socket
import threading
import time


def blocked(call):
    """A thread that is in the call by now, and what comes of it."""
    outcome = []

    def run():
        try:
            outcome.append(call())
        except (OSError, ValueError) as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.01)
    assert not outcome, outcome
    return thread, outcome


def tcp_pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        return client, listener.accept()[0]


def full(sock):
    """Send until there is no room."""
    sock.setblocking(False)
    try:
        while True:
            sock.send(bytes(65536))
    except BlockingIOError:
        pass
    sock.setblocking(True)


def ends_with_ebadf(thread, outcome):
    thread.join(5)
    assert not thread.is_alive(), "nobody has woken it"
    assert isinstance(outcome[0], OSError) and outcome[0].errno == errno.EBADF, outcome


for make in (socket.socketpair, tcp_pair):
    for timeout in (None, 15):
        calls = [
            lambda sock: sock.sendall(bytes(1 << 24)), lambda sock: sock.send(b"x"), lambda sock: sock.sendmsg([b"x"]),
            lambda sock: sock.recv(1), lambda sock: sock.recv_into(bytearray(1)),
        ]  # fmt: skip
        if timeout is None:
            calls.append(lambda sock: os.write(sock.fileno(), b"x"))
        for call in calls:
            one, other = make()
            full(one)
            one.settimeout(timeout)
            thread, outcome = blocked(lambda call=call, one=one: call(one))
            one.close()
            ends_with_ebadf(thread, outcome)
            other.close()

# a file over a pipe, unbuffered, and the descriptor itself
for read in (
    lambda file: file.read(1), lambda file: file.readinto(bytearray(1)), lambda file: file.readline(),
    lambda file: file.readall(),
):  # fmt: skip
    reader, writer = os.pipe()
    file = open(reader, "rb", 0)  # noqa: SIM115
    thread, outcome = blocked(lambda read=read, file=file: read(file))
    file.close()
    thread.join(5)
    assert not thread.is_alive(), "nobody has woken it"
    assert isinstance(outcome[0], ValueError) and str(outcome[0]) == "I/O operation on closed file", outcome
    os.close(writer)
reader, writer = os.pipe()
thread, outcome = blocked(lambda: os.read(reader, 1))
os.close(reader)
ends_with_ebadf(thread, outcome)
os.close(writer)
