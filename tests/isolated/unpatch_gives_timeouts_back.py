"""A socket's time-out, which the runtime kept, is the C object's own again after unpatch_all(), whichever it was and wherever."""

import socket
import ssl
import threading
import time

import trustme

import dhagapatch
from dhagapatch import _real

authority = trustme.CA()
server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
authority.issue_cert("localhost").configure_cert(server_context)
client_context = ssl.create_default_context()
authority.configure_trust(client_context)

VALUES = (None, 0.0, 0.25, 3)
early = [socket.socketpair() for _ in VALUES]
for (one, _), value in zip(early, VALUES, strict=True):
    one.settimeout(value)
for _ in range(2):
    dhagapatch.patch_all()
    late = [socket.socketpair() for _ in VALUES]
    for (one, _), value in zip(late, VALUES, strict=True):
        one.settimeout(value)
    changed = socket.socketpair()
    changed[0].settimeout(5)
    changed[0].settimeout(0.5)
    copied = late[2][0].dup()
    copied.settimeout(0.75)
    gone = socket.socket()
    gone.settimeout(2)
    gone.close()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(1.5)
    plain = socket.create_connection(listener.getsockname(), 4)
    served = []
    thread = threading.Thread(
        target=lambda listener=listener, served=served: served.append(
            server_context.wrap_socket(listener.accept()[0], server_side=True)
        )
    )
    thread.start()
    tls = client_context.wrap_socket(plain, server_hostname="localhost")
    thread.join()
    tls.sendall(b"x")
    assert served[0].recv(1) == b"x"  # for which it is without blocking underneath
    assert _real.sock_gettimeout(served[0]) == 0.0
    try:
        late[2][0].recv(1)
    except TimeoutError:
        pass
    dhagapatch.unpatch_all()
    for pairs in (early, late):
        assert [_real.sock_gettimeout(one) for one, _ in pairs] == list(VALUES), pairs
    told = [_real.sock_gettimeout(one) for one in (changed[0], copied, listener, tls, served[0])]
    assert told == [0.5, 0.75, 1.5, 4, None], told
    for one, other in ((early[2][0], early[2][1]), (late[2][0], late[2][1])):
        begun = time.monotonic()
        try:
            one.recv(1)
        except TimeoutError:
            assert 0.24 <= time.monotonic() - begun < 10
        else:
            raise AssertionError("it was to run out of time")
        other.send(b"x")
        assert one.recv(1) == b"x"
    try:
        early[1][0].recv(1)
    except BlockingIOError:
        pass
    threading.Timer(0.05, late[0][1].send, (b"y",)).start()
    assert late[0][0].recv(1) == b"y", "it is in blocking mode"
    tls.close()
    served[0].close()
