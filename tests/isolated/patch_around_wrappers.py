"""What others had wrapped before the patch stays, and what it calls is cooperative: mocks, agents, subclasses put in a module."""

import builtins
import functools
import os
import posix
import select
import socket
import ssl
import sys
import threading
import time
from unittest import mock

import wrapt

calls = []


def wrapping(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        calls.append(function.__name__)
        return function(*args, **kwargs)

    return wrapper


def by_wrapt(wrapped, _, args, kwargs):
    calls.append(wrapped.__name__)
    return wrapped(*args, **kwargs)


class Proxied(socket.socket):  # as SOCKS libraries put one in the module
    def connect(self, address):
        calls.append("connect")
        return super().connect(address)


class Context(ssl.SSLContext):  # as what brings its own certificates does
    pass


# a tuple is no holder that can be changed
RECV, SENDALL, INIT, IS_SET, FORK, SELECT, SOCKET, CONTEXT, WRAP = range(9)
first = (
    socket.socket.recv, socket.socket.sendall, socket.socket.__init__, threading.Event.is_set, os.fork, select.select,
    socket.socket, ssl.SSLContext, ssl.SSLContext._wrap_socket,
)  # fmt: skip
socket.socket.recv = wrapping(socket.socket.recv)
socket.socket.__init__ = wrapping(socket.socket.__init__)
threading.Event.is_set = wrapping(threading.Event.is_set)
os.fork = wrapping(os.fork)
posix.waitpid = os.waitpid = wrapping(posix.waitpid)
wrapt.wrap_function_wrapper("socket", "socket.sendall", by_wrapt)
wrapt.wrap_function_wrapper("select", "select", by_wrapt)
socket.socket, ssl.SSLContext = Proxied, Context
hook = sys.excepthook = wrapping(sys.excepthook)
builtins.open = wrapping(open)

ticks = []


def tick():
    while True:
        time.sleep(0.001)
        ticks.append(1)


def others_run(call):
    """What `call` gives; the ticker has run meanwhile."""
    before = len(ticks)
    result = call()
    assert len(ticks) > before + 5, call
    return result


with mock.patch("time.sleep", side_effect=time.sleep) as sleep, mock.patch("builtins.input", return_value="said"):
    import dhagapatch

    report = dhagapatch.patch_all()
    assert time.sleep is sleep and input() == "said"
    threading.Thread(target=tick, daemon=True).start()
    others_run(lambda: time.sleep(0.1))
    assert sleep.call_count > len(ticks) > 5
assert time.sleep is not sleep
others_run(lambda: time.sleep(0.1))

shown = {one.what: one.wrapper for one in report.wrapped}
assert shown["time.sleep"] == "unittest.mock.MagicMock", shown
assert shown["socket.socket.recv"] == "__main__.socket.recv" and shown["select.select"] == "__main__.by_wrapt", shown
assert {"sys.excepthook", "builtins.input", "socket.socket.__init__", "threading.Event.is_set", "posix.waitpid"} < shown.keys()
assert "wrapped  time.sleep by unittest.mock.MagicMock" in str(report) and report.as_dict()["wrapped"]
assert sys.excepthook is hook and socket.socket is Proxied and ssl.SSLContext is Context
assert first[CONTEXT]._wrap_socket is not first[WRAP] and "_wrap_socket" not in vars(Context)

one, other = socket.socketpair()
calls.clear()
threading.Timer(0.1, lambda: other.sendall(b"x")).start()
assert others_run(lambda: one.recv(1)) == b"x"
assert others_run(lambda: select.select([one], [], [], 0.1)) == ([], [], [])
pid = os.fork()
if pid == 0:
    time.sleep(0.1)
    os._exit(3)
assert others_run(lambda: os.waitpid(pid, 0)) == (pid, 3 << 8)
with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
    pass
reader, writer = os.pipe()
threading.Timer(0.1, lambda: os.close(writer)).start()
with open(reader) as pipe:
    assert others_run(pipe.read) == ""
assert {"recv", "sendall", "select", "fork", "waitpid", "is_set", "__init__", "connect", "open"} <= set(calls), calls

dhagapatch.unpatch_all()
assert first[SOCKET].recv.__wrapped__ is first[RECV] and first[SOCKET].sendall.__wrapped__ is first[SENDALL]
assert first[SOCKET].__init__.__wrapped__ is first[INIT] and threading.Event.is_set.__wrapped__ is first[IS_SET]
assert os.fork.__wrapped__ is first[FORK] and select.select.__wrapped__ is first[SELECT]
assert first[CONTEXT]._wrap_socket is first[WRAP]
os._exit(0)  # the ticker has no end
