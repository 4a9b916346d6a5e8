# run: -m dhagapatch
"""A finalizer that waits between a call's failed try and its own wait: the edge that comes meanwhile is not lost."""

import errno
import functools
import gc
import socket
import ssl
import threading
import time
import types

import trustme

from dhagapatch.core.deadlines import Deadlines
from dhagapatch.core.netpoll import Netpoll

STEPS = 16  # objects made from the call on, after each of which the collector is to run in turn
LONG = 0.4  # seconds: a wait that lasts this long has lost what it waited for


def tcp_pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return socket.create_connection(listener.getsockname()), listener.accept()[0]


class Cycle:
    """Garbage whose finalizer makes the awaited come, and waits or not, once."""

    come = None
    ran = 0
    waits = True

    def __init__(self):
        self.me = self

    def __del__(self):
        come, Cycle.come = Cycle.come, None
        if come is not None:
            gc.disable()
            Cycle.ran += 1
            come()
            if Cycle.waits:
                time.sleep(0.01)


def lost(before, call, come):
    """At which steps, and the result of `call`, which would wait for what `come` does."""
    found = []
    for step in range(STEPS):
        before()
        gc.disable()
        gc.set_threshold(200, 1000, 1000)
        gc.collect()
        Cycle()
        kept = []
        while gc.get_count()[0] < 200 - step:
            kept.append([])
        Cycle.come = come
        fell_back = []

        def fall_back(fell_back=fell_back):
            if Cycle.come:  # the collector did not run in time
                fell_back.append(True)
                Cycle().__del__()

        late = threading.Timer(LONG, fall_back)
        late.start()
        gc.enable()
        began = time.monotonic()
        try:
            result = call()
        except TimeoutError as error:
            result = error
        took = time.monotonic() - began
        gc.disable()
        in_time = not fell_back and Cycle.come is None
        late.cancel()
        late.join()
        Cycle.come = None
        if isinstance(result, Exception) or (in_time and took > LONG / 2):
            found.append((step, result))
    return found


thresholds = gc.get_threshold()
a, b = tcp_pair()
threading.Timer(0.02, a.sendall, (b"x",)).start()
assert b.recv(1) == b"x"  # it has waited: its descriptor is known


def just_read():
    a.sendall(b"12345")
    time.sleep(0.002)
    b.settimeout(2 * LONG)
    assert b.recv(5) == b"12345"  # all, to the last byte: whether there is more is not known


buffer = bytearray(5)
results = {
    "recv": lost(just_read, lambda: b.recv(5), lambda: a.sendall(b"67890")),
    "recv_into": lost(just_read, lambda: b.recv_into(buffer), lambda: a.sendall(b"67890")),
    "recvfrom": lost(just_read, lambda: b.recvfrom(5), lambda: a.sendall(b"67890")),
}


def drain():
    a.setblocking(False)
    count = 0
    try:
        while True:
            count += len(a.recv(1 << 20))
    except BlockingIOError:
        a.settimeout(None)
    return count


def filled():
    while drain():
        time.sleep(0.001)
    b.setblocking(False)
    try:
        while True:
            b.send(bytes(1 << 16))
    except BlockingIOError:
        b.settimeout(2 * LONG)


results["send"] = lost(filled, lambda: b.send(b"x"), drain)
results["sendmsg"] = lost(filled, lambda: b.sendmsg([b"x"]), drain)

listener = socket.create_server(("127.0.0.1", 0))
listener.settimeout(2 * LONG)
clients = []
results["accept"] = lost(
    lambda: None, lambda: listener.accept()[0].close(), lambda: clients.append(socket.create_connection(listener.getsockname()))
)

# one that closes the very socket, whose number comes back as another's
doomed, strangers = [], []


def waited_once(make):
    def before():
        for one in (*strangers, *doomed):
            one.close()
        strangers.clear()
        doomed[:] = make()
        doomed[0].settimeout(0.002)
        try:
            doomed[0].accept() if len(doomed) == 1 else doomed[0].recv(5)
        except TimeoutError:
            doomed[0].settimeout(2 * LONG)

    return before


def replaced():
    doomed[0].close()
    strangers.extend(socket.socketpair())
    strangers.extend(socket.socketpair())
    time.sleep(0.001)


def refused(call):
    try:
        call()
    except OSError as error:
        if isinstance(error, TimeoutError):
            raise


results["closed accept"] = lost(
    waited_once(lambda: [socket.create_server(("127.0.0.1", 0))]), lambda: refused(lambda: doomed[0].accept()), replaced
)
results["closed recv"] = lost(waited_once(tcp_pair), lambda: refused(lambda: doomed[0].recv(5)), replaced)

Cycle.waits = False  # the hub, too, may be in the middle of something then
results["closed at once"] = lost(waited_once(tcp_pair), lambda: refused(lambda: doomed[0].recv(5)), lambda: doomed[0].close())
Cycle.waits = True

# one that closes it when the wait stands in the queue already, and does not wait itself
arm = Deadlines.arm


def closing_arm(self, *args):
    arm(self, *args)
    if doomed and threading.current_thread() is threading.main_thread():
        doomed.pop().close()


for make in (lambda: tcp_pair()[::-1], lambda: [socket.create_server(("127.0.0.1", 0))]):
    kept = make()
    kept[0].settimeout(0.002)
    wait = kept[0].accept if len(kept) == 1 else functools.partial(kept[0].recv, 5)
    try:
        wait()
    except TimeoutError:
        pass
    kept[0].settimeout(2 * LONG)
    Deadlines.arm = closing_arm
    doomed[:] = kept[:1]
    try:
        wait()
    except OSError as error:
        assert error.errno == errno.EBADF, (wait, error)
    Deadlines.arm = arm
    assert not doomed

# one that closes a socket while the hub looks through its descriptors
class Closing:
    writers = ()

    @property
    def readers(self):
        looked_through.entries.pop(2, None)
        return ()


looked_through = types.SimpleNamespace(entries={1: Closing(), 2: Closing()}, _keys=[0])
assert not Netpoll.awaits_events(looked_through)

# a TLS record that comes in two pieces: the first is there already
authority = trustme.CA()
contexts = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
authority.issue_cert("localhost").configure_cert(contexts[0])
authority.configure_trust(contexts[1])
outer, below = tcp_pair()
incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
server = contexts[0].wrap_bio(incoming, outgoing, server_side=True)


def serve():
    while True:
        try:
            server.do_handshake()
            break
        except ssl.SSLWantReadError:
            below.sendall(outgoing.read())
            incoming.write(below.recv(65536))
    below.sendall(outgoing.read())


serving = threading.Thread(target=serve)
serving.start()
secure = contexts[1].wrap_socket(outer, server_hostname="localhost")
serving.join()
pieces = []


def first_piece():
    secure.settimeout(2 * LONG)
    server.write(b"67890")
    record = outgoing.read()
    below.sendall(record[:9])
    pieces.append(record[9:])
    time.sleep(0.002)


results["TLS"] = lost(first_piece, lambda: secure.recv(5), lambda: below.sendall(pieces.pop()))
gc.set_threshold(*thresholds)
assert not any(results.values()), results
assert Cycle.ran >= 9 * STEPS / 2, Cycle.ran
