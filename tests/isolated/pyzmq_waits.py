# run: -m dhagapatch
"""pyzmq: sends, receives, polls, proxies and ends of contexts wait, and what else may happen then is as natively."""

import asyncio
import socket
import sys
import threading
import time

import zmq
import zmq.asyncio
import zmq.devices
from shared.heart import Heart

patched = "dhagapatch" in sys.modules  # all of it holds natively, too
context = zmq.Context()
heart = Heart()


def pair(ours, theirs, **options):
    one, other = context.socket(ours), context.socket(theirs)
    for name, value in options.items():
        for sock in (one, other):
            setattr(sock, name, value)
    other.connect(f"tcp://127.0.0.1:{one.bind_to_random_port('tcp://127.0.0.1')}")
    return one, other


def raises(kind, function, *args, **kwargs):
    began = time.monotonic()
    try:
        function(*args, **kwargs)
    except kind:
        return time.monotonic() - began
    raise AssertionError(f"{function} did not raise {kind}")


def in_thread(function, *args):
    thread = threading.Thread(target=function, args=args)
    thread.start()
    return thread


# requests and answers, in parts, in each way to receive
def answer(sock, count):
    for _ in range(count):
        parts = sock.recv_multipart()
        time.sleep(0.02)
        sock.send_multipart([part.upper() for part in parts])


server, client = pair(zmq.REP, zmq.REQ)
thread = in_thread(answer, server, 4)
client.send(b"hello")
assert client.recv() == b"HELLO"
client.send_multipart([b"a", b"b"])
assert client.recv_multipart() == [b"A", b"B"]
client.send_string("text", copy=False)
assert bytes(client.recv(copy=False)) == b"TEXT"
client.send_json("json")
assert client.recv_json() == "JSON"
thread.join()
assert raises(zmq.ZMQError, client.recv) < 1, "out of order"

# who must not wait, or not for long
assert raises(zmq.Again, server.recv, zmq.NOBLOCK) < 0.5
assert raises(zmq.Again, server.recv, flags=zmq.NOBLOCK) < 0.5
server.rcvtimeo = 50
assert 0.045 < raises(zmq.Again, server.recv) < 2
server.rcvtimeo = 0
assert raises(zmq.Again, server.recv) < 0.5
assert server.poll(20) == 0 and client.poll(0, zmq.POLLOUT) == zmq.POLLOUT

# a full queue makes the sender wait, until somebody receives
pull, push = pair(zmq.PULL, zmq.PUSH, hwm=5, rcvbuf=4096, sndbuf=4096)
sent = []


def fill():
    for number in range(200):
        push.send(b"%d" % number + b"x" * 10000)
        sent.append(number)


thread = in_thread(fill)
time.sleep(0.2)
assert 0 < len(sent) < 200, len(sent)
got = [int(pull.recv().partition(b"x")[0]) for _ in range(200)]
thread.join()
assert got == list(range(200))
push.sndtimeo = 30
assert raises(zmq.Again, lambda: [push.send(b"x" * 10000) for _ in range(1000)]) < 5

# a message for a peer that is full waits, and ends in time, though another peer has room
router = context.socket(zmq.ROUTER)
router.router_mandatory, router.sndhwm, router.linger = 1, 2, 0
entry = f"tcp://127.0.0.1:{router.bind_to_random_port('tcp://127.0.0.1')}"
peers = []
for name in (b"full", b"free"):
    peer = context.socket(zmq.DEALER)
    peer.identity, peer.rcvhwm, peer.rcvbuf = name, 2, 4096
    peer.connect(entry)
    peer.send(b"here")
    assert router.recv_multipart() == [name, b"here"]
    peers.append(peer)
router.sndtimeo = 50
assert raises(zmq.Again, lambda: [router.send_multipart([b"full", b"x" * 100000]) for _ in range(1000)]) < 10
router.send_multipart([b"free", b"still"])
assert peers[1].recv() == b"still"
router.sndtimeo = -1
threading.Timer(0.1, lambda: [peers[0].recv() for _ in range(3)]).start()
router.send_multipart([b"full", b"last"])

# loops of calls that never wait let the others run
for look in (lambda: router.poll(0), lambda: router.recv(zmq.NOBLOCK), lambda: router.poll(5000, zmq.POLLOUT)):
    flag = []
    threading.Timer(0.05, flag.append, (1,)).start()
    while not flag:
        try:
            look()
        except zmq.Again:
            pass
assert raises(TypeError, zmq.zmq_poll, [(router, 1)], None) < 1
for sock in (router, *peers):
    sock.close(0)

# a poll of sockets and descriptors together
ours, theirs = socket.socketpair()
left, right = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
left.bind("inproc://pair")
right.connect("inproc://pair")
poller = zmq.Poller()
poller.register(left, zmq.POLLIN)
poller.register(ours, zmq.POLLIN)
assert poller.poll(20) == [] and poller.poll(0) == []
threading.Timer(0.05, theirs.send, (b"x",)).start()
assert poller.poll(5000) == [(ours.fileno(), zmq.POLLIN)]
ours.recv(1)
threading.Timer(0.05, right.send, (b"y",)).start()
assert poller.poll() == [(left, zmq.POLLIN)]
assert left.recv() == b"y"
assert left.poll(None, zmq.POLLOUT) == zmq.POLLOUT

# a poll goes on when its socket has work that is no message: here a peer comes
late, early = context.socket(zmq.PULL), context.socket(zmq.PUSH)
entry = f"tcp://127.0.0.1:{late.bind_to_random_port('tcp://127.0.0.1')}"
threading.Timer(0.05, early.connect, (entry,)).start()
threading.Timer(0.15, early.send, (b"then",)).start()
assert late.poll() == zmq.POLLIN and late.recv() == b"then"
late.close(0)
early.close(0)

# a proxy between two sockets, in a thread
front, back = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
entry = f"tcp://127.0.0.1:{front.bind_to_random_port('tcp://127.0.0.1')}"
exit_ = f"tcp://127.0.0.1:{back.bind_to_random_port('tcp://127.0.0.1')}"


def proxies(front, back):
    try:
        zmq.proxy(front, back)
    except zmq.ContextTerminated:
        front.close(0)
        back.close(0)


proxy = in_thread(proxies, front, back)


def works():
    with context.socket(zmq.REP) as sock:
        sock.connect(exit_)
        answer(sock, 5)


workers = [in_thread(works) for _ in range(2)]
answers = []


def asks(number):
    with context.socket(zmq.REQ) as sock:
        sock.connect(entry)
        sock.send(b"request %d" % number)
        answers.append(sock.recv())


threads = [in_thread(asks, number) for number in range(10)]
for thread in (*threads, *workers):
    thread.join()
assert sorted(answers) == sorted(b"REQUEST %d" % number for number in range(10))


# a proxy that can't hand on in one direction does in the other
front, back = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
for sock in (front, back):
    sock.hwm, sock.linger = 2, 0
front.bind("inproc://front")
back.bind("inproc://back")
one_way = in_thread(proxies, front, back)
near, far = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
for sock, address in ((near, "inproc://front"), (far, "inproc://back")):
    sock.hwm, sock.linger = 2, 0
    sock.connect(address)
far.send(b"there")
assert near.recv() == b"there"
near.sndtimeo = 100
assert raises(zmq.Again, lambda: [near.send(b"x") for _ in range(1000)]) < 10
far.send(b"reply")
near.rcvtimeo = 5000
assert near.recv() == b"reply"
near.close(0)
far.close(0)

# what pyzmq runs in threads of its own
def ports():
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    numbers = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return [f"tcp://127.0.0.1:{number}" for number in numbers]


first, second, third = ports()
queue = zmq.devices.ThreadMonitoredQueue(zmq.PAIR, zmq.PAIR, zmq.PUB, b"in", b"out")
steered = zmq.devices.ThreadProxySteerable(zmq.PAIR, zmq.PAIR, zmq.PUB, zmq.PAIR)
for device in (queue, steered):
    device.context_factory = lambda: context
queue.bind_in(first)
queue.bind_out(second)
queue.bind_mon(third)
queue.setsockopt_in(zmq.LINGER, 0)
queue.setsockopt_out(zmq.LINGER, 0)
queue.start()
with context.socket(zmq.PAIR) as one, context.socket(zmq.PAIR) as other:
    one.connect(first)
    other.connect(second)
    one.send(b"through")
    assert other.recv() == b"through"
    other.send(b"back")
    assert one.recv() == b"back"
first, second, third = ports()
(control,) = ports()[:1]
steered.bind_in(first)
steered.bind_out(second)
steered.bind_mon(third)
steered.bind_ctrl(control)
steered.start()
with context.socket(zmq.PAIR) as one, context.socket(zmq.PAIR) as other, context.socket(zmq.PAIR) as steers:
    one.connect(first)
    other.connect(second)
    steers.connect(control)
    one.send(b"through")
    assert other.recv() == b"through"
    steers.send(b"TERMINATE")
    steered.join(5)
    assert not steered.launcher.is_alive()

# asyncio's sockets
async def by_asyncio():
    with zmq.asyncio.Context() as own, own.socket(zmq.PAIR) as one, own.socket(zmq.PAIR) as other:
        one.bind("inproc://asyncio")
        other.connect("inproc://asyncio")
        waits = asyncio.ensure_future(one.recv())
        await asyncio.sleep(0.02)
        await other.send(b"later")
        return await waits


assert asyncio.run(by_asyncio()) == b"later"

# the end of a context ends the waits, and waits until each socket is closed
ended = []


def until_the_end(sock):
    try:
        while True:
            sock.recv()
    except zmq.ContextTerminated:
        time.sleep(0.05)
        ended.append(sock)
        sock.close(0)


server.rcvtimeo = -1
threads = [in_thread(until_the_end, sock) for sock in (server, pull)]
for sock in (client, push, left, right):
    sock.close(0)
time.sleep(0.05)
context.term()
assert len(ended) == 2 and context.closed
for thread in (*threads, proxy, one_way):
    thread.join()

longest = heart.stop()
assert longest < 0.5, f"the others stood still for {longest} s"
if patched:
    import dhagapatch

    assert dhagapatch.is_patched("zmq.backend.zmq_poll")
    from dhagapatch.green.zmq import _ending

    # who calls `term` again, since it was interrupted, waits for the first one
    running, most = [], []

    def native_term(one):
        running.append(one)
        most.append(len(running))
        dhagapatch.original("time", "sleep")(0.05)
        running.pop()

    term, ends = _ending(native_term), type("Context", (), {})()
    for thread in [in_thread(term, ends) for _ in range(3)]:
        thread.join()
    assert most == [1, 1, 1], most
    dhagapatch.unpatch_all()
    for kind, name in ((zmq.backend.Socket, "recv"), (zmq.backend.Socket, "send"), (zmq.backend.Context, "term")):
        assert not hasattr(getattr(kind, name), "__wrapped__"), name
