"""A method that somebody took off its class before the patch, to call it or to set it again, is the green one afterwards."""

import socket
import threading
import time

import dhagapatch

kept_connect = socket.socket.connect
kept_recv = {"recv": socket.socket.recv}


class Loud(socket.socket):
    receive = socket.socket.recv

    def recv(self, *args, _real=socket.socket.recv):
        return _real(self, *args).upper()


class Table:
    is_set = threading.Event.is_set


original = socket.socket.connect
report = dhagapatch.patch_all()
assert not [left for left in report.left if "connect" in left.what or "recv" in left.what], report.left

assert kept_connect is socket.socket.connect and kept_recv["recv"] is socket.socket.recv
assert Table.is_set is threading.Event.is_set
socket.socket.connect = kept_connect  # as who restricts the network for a while does

listener = socket.create_server(("127.0.0.1", 0))
client = Loud()
client.settimeout(10)
client.connect(listener.getsockname())
server, _ = listener.accept()
ticks = []
thread = threading.Thread(target=lambda: [(time.sleep(0.01), ticks.append(1)) for _ in range(3)] and server.sendall(b"abcd"))
thread.start()
assert client.recv(2) == b"AB" and len(ticks) == 3
assert client.receive(2) == b"cd"
thread.join()

dhagapatch.unpatch_all()
assert type(kept_connect).__name__ == "method_descriptor" and kept_connect is original
assert type(Loud.receive).__name__ == "method_descriptor" and Loud.recv.__kwdefaults__["_real"] is kept_recv["recv"]
