"""patch_all() as the last import of a program that holds sockets, TLS contexts, locks and names already."""

import concurrent.futures
import functools
import itertools
import logging
import queue
import select
import selectors
import socket
import ssl
import subprocess
import sys
import threading
import time
from select import poll
from socket import create_connection, socketpair
from threading import Thread, get_ident
from time import sleep

import requests
import trustme

sleep_later = functools.partial(sleep, 0.2)
listener = socket.create_server(("127.0.0.1", 0))
early_left, early_right = socketpair()
early_left.settimeout(10)
authority = trustme.CA()
server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
authority.issue_cert("localhost").configure_cert(server_context)
client_context = ssl.create_default_context()
authority.configure_trust(client_context)
lock, rlock, condition, event = threading.Lock(), threading.RLock(), threading.Condition(), threading.Event()
jobs = queue.Queue()
simple = queue.SimpleQueue()
pool = concurrent.futures.ThreadPoolExecutor(4)
selector = selectors.DefaultSelector()
session = requests.Session()
log = logging.getLogger("early")


class Worker(Thread):
    pause = sleep

    def __init__(self, call=sleep_later, *, ident=get_ident):
        super().__init__()
        self.call, self.ident_of = call, ident

    def run(self):
        self.call()
        idents.append(self.ident_of() == self.ident)


import dhagapatch

report = dhagapatch.patch_all()
assert not report.left, report
idents = []
natives = set()


def serve():
    while True:
        raw, _ = listener.accept()
        Thread(target=talk, args=(raw,), daemon=True).start()


def talk(raw):
    natives.add(threading.get_native_id())
    with server_context.wrap_socket(raw, server_side=True) as tls:
        while data := tls.recv(100):
            tls.sendall(data.upper())


Thread(target=serve, daemon=True).start()


def tls_client():
    with client_context.wrap_socket(create_connection(listener.getsockname()), server_hostname="localhost") as tls:
        tls.sendall(b"hello")
        Worker.pause(0.2)
        assert tls.recv(100) == b"HELLO"


def locks():
    with lock, rlock, rlock:
        sleep(0.01)
    with condition:
        condition.notify_all()
    assert event.wait(10)
    jobs.put(1)
    simple.put(1)


def wait_for_early_socket():
    assert early_left.recv(10) == b"late"
    poller = poll()
    poller.register(early_right, select.POLLIN)
    assert poller.poll(200) == []


beats = []
stop = []


def heart():
    while not stop:
        beats.append(time.monotonic())
        sleep(0.01)


heartbeat = Thread(target=heart)
start = time.monotonic()
threads = [Worker() for _ in range(3)]
threads += [Thread(target=tls_client) for _ in range(3)]
threads += [Thread(target=locks) for _ in range(3)]
threads.append(Thread(target=wait_for_early_socket))
threads.append(Thread(target=subprocess.run, args=([sys.executable, "-c", "import time; time.sleep(0.2)"],)))
heartbeat.start()
for thread in threads:
    thread.start()
futures = [pool.submit(sleep, 0.2) for _ in range(4)]
event.set()
early_right.sendall(b"late")
for thread in threads:
    thread.join(10)
    assert not thread.is_alive(), thread
for future in futures:
    future.result(10)
took = time.monotonic() - start
stop.append(True)
heartbeat.join()
assert idents == [True] * 3 and natives == {threading.get_native_id()}
assert jobs.qsize() == 3 and simple.qsize() == 3
assert took < 1.0, took
gaps = [after - before for before, after in itertools.pairwise(beats)]
assert max(gaps) < 0.1, max(gaps)
log.warning("done")
