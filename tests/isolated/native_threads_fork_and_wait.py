# run: -m dhagapatch
"""A native thread forks, and its child has dhagas that wait side by side; a native thread's time-out is in seconds."""

import os
import select
import signal
import socket
import sys
import threading
import time
import warnings

from dhagapatch import _real

warnings.simplefilter("ignore", DeprecationWarning)


def natively(function):
    """Call it on a native thread; what it returned."""
    told = []

    def run():
        try:
            told.append(function())
        except BaseException as error:
            told.append(error)

    _real.start_new_thread(run, ())
    while not told:
        _real.sleep(0.001)
    return told[0]


class Rung(Exception):
    pass


def ring(number, frame):
    raise Rung


def side_by_side():
    """Two threads of the child sleep at once, the main one with them, which is the one that forked, for signals too."""
    events = []

    def sleeps(name):
        events.append(f"begins {name}")
        time.sleep(0.1)
        events.append(f"ends {name}")

    threads = [threading.Thread(target=sleeps, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    events.append("main")
    for thread in threads:
        thread.join()
    reader, writer = os.pipe()
    late = threading.Thread(target=lambda: (time.sleep(0.01), os.write(writer, b"x")))
    late.start()
    assert os.read(reader, 10) == b"x"
    late.join()
    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    try:
        threading.Event().wait(10)
    except Rung:
        events.append("rung")
    else:
        raise AssertionError("the handler ran elsewhere")
    order = [event.split()[0] for event in events]
    assert order.pop() == "rung"
    return sorted(order) == ["begins", "begins", "ends", "ends", "main"] and order[:2] == ["begins", "begins"]


def forks():
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if side_by_side() else 2
        except BaseException as error:
            sys.stderr.write(f"in the child: {type(error).__name__}: {error}\n")
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


assert natively(forks) == 0
threading.Thread(target=time.sleep, args=(0.01,)).start()  # the parent has a hub by now
assert natively(forks) == 0
thread_outcome = []
thread = threading.Thread(target=lambda: thread_outcome.append(forks()))
thread.start()
thread.join()
assert thread_outcome == [0] and side_by_side()  # whoever forks is the main one there


def times_out(call, error=TimeoutError):
    """Whether the call ends by a time-out of half a second, and takes as long."""
    begun = _real.monotonic()
    try:
        outcome = call()
    except error:
        outcome = None
    taken = _real.monotonic() - begun
    return not outcome and 0.49 <= taken < 10


left, right = socket.socketpair()
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 0))
listener = socket.create_server(("127.0.0.1", 0))
for sock in (left, udp, listener):
    sock.settimeout(0.5)
for call in (
    lambda: left.recv(1), lambda: left.recv_into(bytearray(1)), lambda: udp.recvfrom(1), lambda: listener.accept(),
    lambda: left.sendall(bytes(1 << 24)), lambda: select.select([left], [], [], 0.5)[0],
    lambda: threading.Event().wait(0.5), lambda: time.sleep(0.5),
):  # fmt: skip
    assert natively(lambda call=call: times_out(call)) is True
lock = threading.Lock()
lock.acquire()
assert natively(lambda: times_out(lambda: lock.acquire(timeout=0.5))) is True
poller = select.poll()
poller.register(right, select.POLLPRI)
assert natively(lambda: times_out(lambda: poller.poll(500))) is True
epoll = select.epoll()
epoll.register(right, select.EPOLLPRI)
assert natively(lambda: times_out(lambda: epoll.poll(0.5))) is True
