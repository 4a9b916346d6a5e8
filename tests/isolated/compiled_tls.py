# run: -m dhagapatch
"""The compiled calls of TLS leak nothing, whichever way they are left: read, written, out of time, closed, killed."""

import gc
import socket
import ssl
import sys
import threading
import time

import trustme

import dhagapatch

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


a, b = connect()


def in_thread(*functions):
    threads = [threading.Thread(target=one) for one in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def exchange():
    room = bytearray(100)

    def there():
        b.sendall(b"x" * 50)
        assert b.recv(100) == b"y" * 60

    def back():
        assert a.recv_into(room) == 50
        a.send(b"y" * 60)

    in_thread(back, there)


def much():
    def read():
        left = 200_000
        while left:
            left -= len(a.recv(1 << 16))

    in_thread(lambda: b.sendall(bytes(200_000)), read)


def time_out():
    a.settimeout(0.0005)
    for call in (lambda: a.recv(10), lambda: a.recv_into(bytearray(10))):
        try:
            call()
            raise AssertionError("nothing was sent")
        except TimeoutError as error:
            assert "timed out" in str(error) and error.__context__ is None, error.__context__
    a.settimeout(None)


def would_block():
    a.settimeout(0)
    try:
        a.recv(10)
        raise AssertionError("nothing was sent")
    except ssl.SSLWantReadError:
        pass
    a.settimeout(None)


def misused():
    for call in (lambda: a.read(-5), lambda: a.read("x"), lambda: a.send("text"), lambda: a.recv_into(b"abc"), lambda: a.write()):
        try:
            call()
            raise AssertionError(call)
        except (TypeError, ValueError):
            pass
    assert a.read(0) == b""


def killed():
    victim = dhagapatch.spawn(a.recv, 10)
    time.sleep(0)
    time.sleep(0)
    victim.kill()
    while not victim.dead:
        time.sleep(0)
    assert not dhagapatch.get_hub().entries[a.fileno()].readers


def counts():
    gc.collect()
    objects = (None, True, False, 0, 1, 10, a, b, a._sslobj, b._sslobj, a._sslobj._native, dhagapatch.get_hub())
    return [sys.getrefcount(one) for one in objects]


for work in (exchange, much, time_out, would_block, misused, killed):
    for _ in range(10):
        work()
    before = counts()
    for _ in range(100):
        work()
    grown = [(number, was, now) for number, (was, now) in enumerate(zip(before, counts())) if abs(now - was) > 30 and was < 2**30]
    assert not grown, (work.__name__, grown)

# the end of the stream

c, d = connect()
ended = []
reader = threading.Thread(target=lambda: ended.append(c.recv(10)))
reader.start()
time.sleep(0.01)
d.close()
reader.join(5)
assert ended == [b""], ended
