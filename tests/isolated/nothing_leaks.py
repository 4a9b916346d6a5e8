# run: -m dhagapatch
"""What is done a hundred times leaves nothing behind: no descriptor, dhaga, waiter, deadline, timeout or other object."""

import asyncio
import gc
import os
import queue
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter

import trustme

import dhagapatch
from dhagapatch.core import Dhaga
from dhagapatch.green import buffers, timeouts

authority = trustme.CA()
server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
authority.issue_cert("localhost").configure_cert(server_context)
client_context = ssl.create_default_context()
authority.configure_trust(client_context)


def in_thread(function, *args):
    thread = threading.Thread(target=function, args=args)
    thread.start()
    return thread


def threads():
    local = threading.local()

    def work():
        local.value = object()
        time.sleep(0)

    for thread in [in_thread(work) for _ in range(3)]:
        thread.join()


def sockets():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = in_thread(lambda: listener.accept()[0].close())
        with socket.create_connection(listener.getsockname(), timeout=5) as client:
            assert client.recv(1) == b""
        thread.join()


def dropped_sockets():
    left, right = socket.socketpair()
    thread = in_thread(right.recv, 1)
    time.sleep(0)
    left.send(b"x")
    thread.join()
    os.close(left.detach())


def socket_timeouts():
    left, right = socket.socketpair()
    with left, right:
        left.settimeout(0.0001)
        for _ in range(2):
            try:
                left.recv(1)
            except TimeoutError:
                pass


def closed_under_a_reader():
    left, right = socket.socketpair()

    def read():
        try:
            left.recv(1)
        except OSError:
            pass

    thread = in_thread(read)
    time.sleep(0)
    left.close()
    thread.join()
    right.close()


def tls():
    left, right = socket.socketpair()

    def serve():
        with server_context.wrap_socket(left, server_side=True) as server:
            server.recv(10)

    thread = in_thread(serve)
    with client_context.wrap_socket(right, server_hostname="localhost") as client:
        client.send(b"x")
    thread.join()


def pipes():
    reader, writer = os.pipe()
    with open(reader, "rb") as file:
        thread = in_thread(file.read)
        time.sleep(0)
        os.write(writer, b"x")
        os.close(writer)
        thread.join()


def shared_buffers():
    reader, writer = os.pipe()
    with open(reader, "rb") as file:
        got = []
        readers = [in_thread(lambda: got.append(file.read(1))) for _ in range(2)]
        time.sleep(0)
        os.write(writer, b"xy")
        os.close(writer)
        for thread in readers:
            thread.join()
    assert sorted(got) == [b"x", b"y"]
    assert not buffers._inside, "the turns of a file stay, for another one that comes to its address"


def polls():
    left, right = socket.socketpair()
    with left, right, select.epoll() as epoll:
        select.select([left], [], [], 0.0001)
        poll = select.poll()
        poll.register(left, select.POLLIN)
        poll.poll(0.1)
        epoll.register(left, select.EPOLLIN)
        epoll.poll(0.0001)


def waits_that_time_out():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire(timeout=0.0001)
    threading.Event().wait(0.0001)
    try:
        queue.Queue().get(timeout=0.0001)
    except queue.Empty:
        pass
    try:
        queue.SimpleQueue().get(timeout=0.0001)
    except queue.Empty:
        pass


def killed():
    lock = threading.Lock()
    lock.acquire()
    dhagas = [dhagapatch.spawn(lock.acquire), dhagapatch.spawn(time.sleep, 3600)]
    dhagas.append(dhagapatch.spawn(threading.Event().wait, 3600))
    time.sleep(0)
    for dhaga in dhagas:
        dhaga.kill()
    time.sleep(0)
    lock.release()


def long_deadlines():
    event = threading.Event()
    thread = in_thread(event.wait, 3600)
    time.sleep(0)
    event.set()
    thread.join()


def children():
    subprocess.run(["true"], capture_output=True, check=True)


def names():
    socket.getaddrinfo("localhost", 1)


def loops():
    async def main():
        await asyncio.sleep(0)

    asyncio.run(main())
    in_thread(asyncio.run, main()).join()


def failed():
    hook = threading.excepthook
    threading.excepthook = lambda args: None
    in_thread(lambda: 1 / 0).join()
    threading.excepthook = hook


def state():
    for _ in range(3):
        time.sleep(0)
        gc.collect()
    hub = dhagapatch.get_hub()
    for _ in range(100):  # stale deadlines are swept when they have become many
        hub.deadlines._one_more_stale()
    objects = Counter(type(thing).__qualname__ for thing in gc.get_objects())
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "dhagas": sum(isinstance(thing, Dhaga) for thing in gc.get_objects()) + len(hub.dhagas),
        "entries": len(hub.entries),
        "timeouts": len(timeouts.HIDDEN),
        "deadlines": len(hub.deadlines),
    }, objects


TIMES = 60
for activity in (
    threads, sockets, dropped_sockets, socket_timeouts, closed_under_a_reader, tls, pipes, shared_buffers, polls,
    waits_that_time_out, killed, long_deadlines, children, names, loops, failed,
):  # fmt: skip
    for _ in range(3):
        activity()
    before, objects_before = state()
    for _ in range(TIMES):
        activity()
    after, objects_after = state()
    grown = {name: after[name] - before[name] for name in after if after[name] - before[name] > 2}
    assert not grown, (activity.__name__, grown)
    objects = objects_after - objects_before
    assert not {name: n for name, n in objects.items() if n > TIMES // 3 and name != "tuple"}, (activity.__name__, objects)
    print(activity.__name__, end=" ", file=sys.stderr)
