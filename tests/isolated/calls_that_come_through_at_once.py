# run: -m dhagapatch
"""A loop of calls that never have to wait lets the other dhagas run all the same, as threads would run."""

import os
import queue
import select
import socket
import ssl
import subprocess
import sys
import threading
import time

import trustme

left, right = socket.socketpair()
left.send(b"ready")
reader, writer = os.pipe()
poller = select.poll()
poller.register(right, select.POLLIN)
epoll = select.epoll()
epoll.register(right, select.EPOLLIN)
authority = trustme.CA()
server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
authority.issue_cert("localhost").configure_cert(server_context)
client_context = ssl.create_default_context()
authority.configure_trust(client_context)
raw = socket.socketpair()
pair = []
wrapper = threading.Thread(target=lambda: pair.append(server_context.wrap_socket(raw[0], server_side=True)))
wrapper.start()
tls = client_context.wrap_socket(raw[1], server_hostname="localhost")
wrapper.join()


def there_and_back():
    left.send(b"x")
    right.recv(1)


def through_the_pipe():
    os.write(writer, b"x")
    os.read(reader, 1)


def encrypted():
    tls.send(b"x")
    pair[0].recv(1)


udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 0))
udp.connect(udp.getsockname())
listener = socket.create_server(("127.0.0.1", 0))
READS = """
import socket, sys
sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
while sock.recv(65536):
    pass
"""
reader_process = subprocess.Popen([sys.executable, "-c", READS, str(listener.getsockname()[1])])
tcp, _ = listener.accept()
tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
jobs = queue.SimpleQueue()
null = open(os.devnull, "wb", buffering=0)  # noqa: SIM115


def in_the_queue():
    jobs.put(1)
    jobs.get()


def not_waiting():
    left.sendall(b"x")
    right.recv(1, socket.MSG_DONTWAIT)


def datagram():
    udp.sendall(b"x" * 100)
    udp.recv(200)


CALLS = {
    "sendall to a process that reads": lambda: tcp.sendall(b"x" * 100),
    "sendmsg": lambda: (left.sendmsg([b"x"]), right.recv(1)),
    "UDP sendall": datagram,
    "UDP sendmsg": lambda: (udp.sendmsg([b"x" * 100]), udp.recv(200)),
    "sendall and recv, not waiting": not_waiting,
    "SimpleQueue": in_the_queue,
    "unbuffered file": lambda: null.write(b"x"),
    "poll": lambda: poller.poll(1000),
    "poll, not waiting": lambda: poller.poll(0),
    "epoll": lambda: epoll.poll(1),
    "select": lambda: select.select([right], [], [], 1),
    "send and recv": there_and_back,
    "pipe": through_the_pipe,
    "TLS": encrypted,
}
gaps = []
stop = []


def heart():
    last = time.process_time()  # what the machine does beside this process is no gap
    while not stop:
        time.sleep(0.005)
        gaps.append(time.process_time() - last)
        last = time.process_time()


heartbeat = threading.Thread(target=heart)
heartbeat.start()
time.sleep(0.02)
for name, call in CALLS.items():
    gaps.clear()
    until = time.process_time() + 0.2
    while time.process_time() < until:
        call()
    assert gaps and max(gaps) < 0.1, (name, len(gaps), max(gaps, default=None))
stop.append(True)
heartbeat.join()
tcp.close()
assert reader_process.wait(10) == 0
