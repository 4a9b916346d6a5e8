# run: -m dhagapatch
"""A finalizer that waits in the middle of a read loses no edge: what came meanwhile is read at once afterwards."""

import gc
import socket
import sys
import threading
import time

STEPS = 14
a = socket.create_connection((listener := socket.create_server(("127.0.0.1", 0))).getsockname())
b = listener.accept()[0]


class Cycle:
    """Garbage that comes again until it has waited, at the step of the read that is asked for."""

    left = 0

    def __init__(self):
        self.me = self

    def __del__(self):
        if Cycle.left <= 0:
            return
        frame = sys._getframe(1)
        seen.append(frame.f_code.co_name)
        if frame.f_globals["__name__"] in ("dhagapatch.green.attempts", "dhagapatch.green.socket"):
            Cycle.left -= 1
            if not Cycle.left:
                time.sleep(0.02)
                return
        Cycle()


def receive():
    return b.recv(100)


def receive_into():
    room = bytearray(100)
    return bytes(room[: b.recv_into(room)])


def receive_from():
    return b.recvfrom(100)[0]


def udp_pair():
    left, right = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    right.bind(("127.0.0.1", 0))
    left.connect(right.getsockname())
    return left, right


def send_both(sock, both):
    time.sleep(0.005)
    sock.send(both[:1])
    sock.send(both[1:])


def send():
    time.sleep(0.005)
    gc.set_threshold(1, 1, 1)
    Cycle()
    a.sendall(b"x")
    time.sleep(0.01)
    a.sendall(b"y")


seen = []
thresholds = gc.get_threshold()
for read in (receive, receive_into):
    for step in range(1, STEPS + 1):
        Cycle.left = step
        thread = threading.Thread(target=send)
        thread.start()
        got = read()
        Cycle.left = 0
        gc.set_threshold(*thresholds)
        thread.join()
        b.settimeout(2)
        while len(got) < 2:
            got += read()  # TimeoutError: an edge was lost
        assert got == b"xy", got
        b.settimeout(None)
# datagrams: two that come during the wait are two reads
for make in (lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM), udp_pair):
    for read in (receive, receive_into, receive_from):
        for step in range(1, STEPS + 1, 2):
            a, b = make()
            b.settimeout(2)
            Cycle.left = step
            thread = threading.Thread(target=send)
            thread.start()
            got = [read()]
            Cycle.left = 0
            gc.set_threshold(*thresholds)
            thread.join()
            got.append(read())  # TimeoutError: an edge was lost
            assert got == [b"x", b"y"], got
            for both in (b"12", b"34"):  # before the reader has its turn
                thread = threading.Thread(target=send_both, args=(a, both))
                thread.start()
                assert read() + read() == both
                thread.join()
            a.close()
            b.close()
assert seen, "no finalizer has run"
