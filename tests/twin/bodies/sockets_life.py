"""What socket objects are and how long: timeouts, modes, copies, names, subclasses, files over them, sendfile, helpers."""

from __future__ import annotations

import copy
import errno
import gc
import io
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import threading
from fractions import Fraction
from typing import Any

from network import SHORT, Task, closed_port, fill, let_it_block, receive_all, tcp_pair


class Counting(socket.socket):
    """A subclass made before the patch (in late mode), which reaches the patched methods through super()."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.calls: list[str] = []
        super().__init__(*args, **kwargs)

    def recv(self, *args: Any) -> bytes:
        self.calls.append("recv")
        return super().recv(*args)

    def sendall(self, *args: Any) -> None:
        self.calls.append("sendall")
        return super().sendall(*args)

    def settimeout(self, value: Any) -> None:
        self.calls.append(f"settimeout {value}")
        super().settimeout(value)

    def close(self) -> None:
        self.calls.append("close")
        super().close()


def case_timeouts(t: Any) -> None:
    left, right = socket.socketpair()
    t.note(left.gettimeout(), left.getblocking(), left.timeout)
    for value in (None, 0, 0.0, 1, 2.5, 1e-9, 0.1, True, 1e6, Fraction(1, 2), "x", -0.0, -1e-12, 10**20, b"1"):
        t.outcome(f"settimeout {value}", left.settimeout, value)
        t.note(left.gettimeout(), left.getblocking(), left.timeout, os.get_blocking(left.fileno()))
    for value in (True, False, 1, 0, 7):
        t.outcome(f"setblocking {value}", left.setblocking, value)
        t.note(left.gettimeout(), left.getblocking(), left.timeout, os.get_blocking(left.fileno()))
    t.outcome("set the property", setattr, left, "timeout", 5)
    left.close()
    right.close()
    t.outcome("closed", left.settimeout, 1)
    t.outcome("closed", left.setblocking, True)
    t.note(left.gettimeout(), left.getblocking())


def case_timeouts_that_change(t: Any) -> None:
    left, right = tcp_pair()
    with left, right:
        for value in (SHORT, 5.0, None, SHORT, 0.0, SHORT, None, 5.0, SHORT):
            left.settimeout(value)
            if value not in (SHORT, 0.0):
                later = threading.Timer(2 * SHORT, right.sendall, (b"x",))
                later.start()
            t.outcome(f"recv, {value}", left.recv, 10)
            t.outcome(f"send, {value}", left.send, b"x")
        left.setblocking(True)
        later = threading.Timer(2 * SHORT, right.sendall, (b"x",))
        later.start()
        t.outcome("recv", left.recv, 10)
    seen: set[int] = set()
    again = 0
    for value in [SHORT / 10, None] * 40:  # new objects where others were: their timeouts are their own
        left, right = tcp_pair()
        again += id(left) in seen
        seen.add(id(left))
        if value is not None:
            left.settimeout(value)
            t.outcome("out of time", left.recv, 10)
            t.outcome("out of time", left.recv, 10)
        else:
            task = Task(left.recv, 10)
            threading.Timer(SHORT / 5, right.sendall, (b"x",)).start()
            task.note(t, "in time")
        left.close()
        right.close()
        del left, right
    t.note(again > 0)


def case_default_timeout(t: Any) -> None:
    t.note(socket.getdefaulttimeout())
    socket.setdefaulttimeout(SHORT)
    try:
        left, right = socket.socketpair()
        t.note(left.gettimeout(), right.gettimeout(), socket.socket().gettimeout())
        t.outcome("recv", left.recv, 1)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            t.outcome("accept", listener.accept)
            client = socket.create_connection(listener.getsockname())
            peer, _ = listener.accept()
            t.note(client.gettimeout(), peer.gettimeout(), socket.socket(fileno=peer.detach()).gettimeout())
            t.note(socket.create_connection(listener.getsockname(), timeout=None).gettimeout())
        t.note(left.dup().gettimeout(), socket.fromfd(left.fileno(), left.family, left.type).gettimeout())
    finally:
        socket.setdefaulttimeout(None)
    t.outcome("bad", socket.setdefaulttimeout, -1)
    t.outcome("bad", socket.setdefaulttimeout, "a")


def case_blocking_mode(t: Any) -> None:
    left, right = socket.socketpair()
    mode = os.get_blocking
    t.note(mode(left.fileno()))
    task = Task(left.recv, 10)
    let_it_block()
    t.note(mode(left.fileno()), left.getblocking())
    program = "import os; print(os.get_blocking(0), os.read(0, 10))"
    child = Task(subprocess.run, [sys.executable, "-c", program], stdin=right.fileno(), capture_output=True, check=False)
    left.send(b"to the child")
    t.note(child.join().stdout)
    right.send(b"x")
    task.note(t, "recv")
    fill(left)
    task = Task(left.sendall, b"more")
    let_it_block()
    t.note(mode(left.fileno()))
    right.close()
    task.note(t, "sendall")
    listener = socket.create_server(("127.0.0.1", 0))
    task = Task(listener.accept)
    let_it_block()
    t.note(mode(listener.fileno()))
    client = socket.create_connection(listener.getsockname())
    peer, _ = task.join()
    t.note(mode(client.fileno()), mode(peer.fileno()), mode(listener.fileno()))
    with socket.socket(type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as sock:
        t.note(sock.gettimeout(), sock.type, mode(sock.fileno()))


def case_copies(t: Any) -> None:
    left, right = socket.socketpair()
    left.settimeout(5)
    other = left.dup()
    t.note(other.gettimeout(), left.gettimeout(), type(other), other.family, other.type, os.get_inheritable(other.fileno()))
    task = Task(other.recv, 10)
    let_it_block()
    right.send(b"dup")
    task.note(t, "dup")
    left.settimeout(None)  # the mode belongs to what they share
    other.settimeout(None)
    shared = socket.socket(fileno=left.fileno())
    t.note(shared.gettimeout(), shared.fileno() == left.fileno(), shared.family, shared.type, left.gettimeout())
    tasks = [Task(sock.recv, 1) for sock in (shared, left, other)]
    let_it_block()
    right.send(b"abc")
    t.note(sorted(task.join() for task in tasks))
    fd = shared.detach()
    t.note(shared.fileno(), shared, fd == left.fileno(), shared.detach())
    t.outcome("detached", shared.recv, 1)
    right.send(b"left")
    t.outcome("left", left.recv, 10)
    again = socket.fromfd(left.fileno(), socket.AF_UNIX, socket.SOCK_STREAM)
    t.note(again.gettimeout())
    left.close()
    right.send(b"again")
    t.outcome("again", again.recv, 10)
    again.close()
    t.outcome("other", other.send, b"x")
    other.close()
    t.outcome("bad", socket.socket, fileno=-1)
    t.outcome("bad", socket.socket, fileno="a")
    t.outcome("bad", socket.socket, fileno=987)
    t.outcome("bad", socket.fromfd, 987, socket.AF_INET, socket.SOCK_STREAM)
    t.outcome("bad", socket.socket, 12345)
    t.outcome("bad", socket.socket, socket.AF_INET, 99)


def case_closing(t: Any) -> None:
    left, right = socket.socketpair()
    with left as same:
        t.note(same is left, left)
    t.note(left.fileno(), left, left._closed)  # type: ignore[attr-defined]
    left.close()
    for name, args in (
        ("recv", (1,)), ("recv_into", (bytearray(1),)), ("recvfrom", (1,)), ("recvmsg", (1,)), ("send", (b"a",)),
        ("sendall", (b"a",)), ("sendto", (b"a", "x")), ("sendmsg", ([b"a"],)), ("getsockname", ()), ("getpeername", ()),
        ("listen", ()), ("accept", ()), ("dup", ()), ("makefile", ()), ("bind", ("/tmp/x",)), ("shutdown", (2,)),
        ("getsockopt", (1, 4)), ("sendfile", (io.BytesIO(b"a"),)),
    ):  # fmt: skip
        t.outcome(name, getattr(left, name), *args)
    t.outcome("end", right.recv, 1)
    file = right.makefile("rb")
    right.close()
    t.note(right.fileno() >= 0)
    file.close()
    t.note(right.fileno(), right)
    t.outcome("closed file", file.read)
    left, right = socket.socketpair()
    right.close()
    t.outcome("write", left.send, b"x")
    number = left.fileno()
    os.close(number)
    t.outcome("closed behind its back", left.recv, 1)
    t.outcome("close", left.close)
    t.outcome("socket.close", socket.close, 987)  # type: ignore[attr-defined]


def case_numbers_come_anew(t: Any) -> None:
    for how in ("close", "detach", "collect", "os.close"):
        left, right = socket.socketpair()
        task = Task(left.recv, 1)
        let_it_block()
        right.send(b"1")
        task.note(t, how)
        left.settimeout(SHORT)
        t.outcome("drained", left.recv, 1)
        number = left.fileno()
        if how == "close":
            left.close()
        elif how == "detach":
            os.close(left.detach())
        elif how == "os.close":
            os.close(number)
            left.detach()
        else:
            del left, task
        a, b = socket.socketpair()
        new = a if a.fileno() == number else b
        t.note(number in (a.fileno(), b.fileno()), new.gettimeout())
        task = Task(new.recv, 5)
        let_it_block()
        (b if new is a else a).send(b"fresh")
        task.note(t, "the next one")


class Farewell:
    """Says goodbye when it is freed; it refers to itself, so only the collector frees it."""

    def __init__(self, t: Any) -> None:
        self.itself, self.t = self, t
        self.sock: Any = None  # made later: the collector calls the older finalizer first

    def __del__(self) -> None:
        self.t.note("timeout", self.sock.gettimeout())
        self.sock.sendall(b"goodbye")
        self.t.outcome("answer", self.sock.recv, 10)
        self.sock.settimeout(3)
        self.t.note("timeout", self.sock.gettimeout())
        self.sock.settimeout(None)
        self.t.note("timeout", self.sock.gettimeout())


def case_used_by_finalizers(t: Any) -> None:
    def answer(sock: Any) -> bytes:
        said = sock.recv(7)
        sock.sendall(b"see you")
        return bytes(said)

    gc.collect()
    gc.disable()
    try:
        for timeout in (5, None, 5):
            farewells = [Farewell(t) for _ in range(2)]  # in one collection
            rights = []
            for farewell in farewells:
                farewell.sock, right = tcp_pair()
                farewell.sock.settimeout(timeout)
                rights.append(right)
            del farewell, farewells
            answering = [Task(answer, right) for right in rights]
            gc.collect()
            for task, right in zip(answering, rights, strict=True):
                task.note(t, "said")
                right.close()
    finally:
        gc.enable()


def case_what_cannot_be_copied(t: Any) -> None:
    left, _right = socket.socketpair()
    for call in (pickle.dumps, copy.copy, copy.deepcopy):
        t.outcome(call.__name__, call, left)
    t.note(pickle.loads(pickle.dumps(socket.AF_INET)), socket.socket.__module__, socket.socket.__qualname__)
    t.note(isinstance(left, socket.SocketType), issubclass(socket.socket, socket.SocketType), socket.SocketType)
    t.note(sorted(name for name in dir(left) if not name.startswith("_")))
    t.outcome("attribute", setattr, left, "something", 1)
    t.note(socket.timeout is TimeoutError, socket.error is OSError)


def case_subclass(t: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with Counting() as sock:
            sock.settimeout(5)
            sock.connect(listener.getsockname())
            peer, _ = listener.accept()
            task = Task(sock.recv, 10)
            let_it_block()
            peer.send(b"answer")
            task.note(t, "recv")
            sock.sendall(b"question")
            with sock.makefile("rw") as file:
                file.write("more")
                file.flush()
            t.note(sock.gettimeout(), sock.something if hasattr(sock, "something") else None)
        t.note(sock.calls, receive_all(peer))
        t.note(sock, type(Counting().dup()))


def case_files(t: Any) -> None:
    for mode, buffering in (("r", None), ("w", None), ("rw", None), ("rb", None), ("wb", None), ("rwb", None), ("rb", 0),
                            ("wb", 0), ("rwb", 0), ("r", 1), ("rb", 16), ("", None), ("b", None)):  # fmt: skip
        left, right = socket.socketpair()
        file = left.makefile(mode, buffering, encoding=None if "b" in mode else "utf-8")
        t.note(mode, buffering, type(file).__name__, file.readable(), file.writable(), file.seekable(), file.closed)
        t.outcome("mode", getattr, file, "mode")
        t.outcome("name", lambda file=file: isinstance(file.name, int))
        t.outcome("fileno", lambda file=file, left=left: file.fileno() == left.fileno())
        for name in ("isatty", "tell", "readable"):
            t.outcome(name, getattr(file, name))
        if file.readable():
            task = Task(file.readline)
            let_it_block()
            right.sendall(b"line one\nli")
            task.note(t, "readline")
            right.sendall(b"ne two\nthe rest")
            t.outcome("next", next, file)
            right.shutdown(socket.SHUT_WR)
            t.outcome("rest", file.read)
            t.outcome("end", file.read)
        else:
            t.outcome("read", file.read)
        if file.writable():
            t.outcome("write", file.write, b"said" if "b" in mode else "said")
            t.outcome("flush", file.flush)
            t.outcome("got", right.recv, 10)
        else:
            t.outcome("write", file.write, b"x" if "b" in mode else "x")
        left.close()
        t.note(left.fileno() >= 0)
        file.close()
        t.note(left.fileno(), file.closed)
        t.outcome("closed", file.readline)


def case_files_of_odd_kinds(t: Any) -> None:
    left, right = tcp_pair()
    left.settimeout(SHORT)
    file = left.makefile("rb")
    t.outcome("timeout", file.read, 5)
    t.outcome("after it", file.read, 5)
    raw = left.makefile("rb", 0)
    t.outcome("raw timeout", raw.read, 5)
    right.send(b"late")
    t.outcome("after it", raw.read, 5)
    left.settimeout(10)  # the kernel may be late, too
    t.outcome("readinto", left.recv_into, bytearray(5))
    left.setblocking(False)
    t.outcome("no blocking", left.makefile("rb").read, 5)
    t.outcome("no blocking", left.makefile("rb", 0).read, 5)
    t.outcome("no blocking", left.makefile("rb").readline)
    fill(left)
    out = left.makefile("wb", 0)
    while (count := out.write(bytes(65536))) is not None:  # the kernel may make room for a while
        pass
    t.note("no blocking", count)
    out.close()
    left.close()
    left, right = tcp_pair()
    out = right.makefile("w", encoding="utf-8", newline="\r\n")
    with left.makefile("r", encoding="utf-8", newline="\r\n") as text, out:
        print("grüße", file=out, flush=True)
        t.note(text.readline(), text.encoding, text.errors)
    t.note([repr(left.makefile(*args)).split(" ")[0] for args in (("rb", 0), ("rb",), ("wb",), ("rwb",), ("r",))])
    left.makefile("rb").detach()


def case_file_shared_by_threads(t: Any) -> None:
    left, right = socket.socketpair()
    reader = left.makefile("rb")
    writer = right.makefile("wb", 64)
    lock = threading.Lock()
    lines: list[bytes] = []

    def read() -> None:
        while line := reader.readline():
            with lock:
                lines.append(line)

    def write(n: int) -> None:
        for m in range(50):
            writer.write(b"%d-%d\n" % (n, m))
            writer.flush()

    readers = [Task(read) for _ in range(3)]
    let_it_block()
    writers = [Task(write, n) for n in range(3)]
    for task in writers:
        task.note(t, "write")
    writer.close()
    right.close()
    for task in readers:
        task.note(t, "read")
    t.note(len(lines), sorted(lines) == sorted(b"%d-%d\n" % (n, m) for n in range(3) for m in range(50)))


def case_sendfile(t: Any) -> None:
    data = bytes(range(256)) * 2000
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        for timeout in (None, 5):
            for place, args in ((0, ()), (0, (1000,)), (0, (0, 500)), (0, (100, 300_000)), (7, ()), (0, (len(data) + 5,))):
                for source in (file, io.BytesIO(data)):
                    source.seek(place)
                    left, right = socket.socketpair()
                    left.settimeout(timeout)
                    reader = Task(receive_all, right)
                    t.outcome(f"sendfile {type(source).__name__ == 'BytesIO'} {args}", left.sendfile, source, *args)
                    left.close()
                    t.note(len(reader.join()), source.tell())
        left, right = socket.socketpair()
        left.settimeout(SHORT)
        file.seek(0)
        t.outcome("timeout", left.sendfile, file)
        left, right = socket.socketpair()
        for args in ((-1,), (0, 0), (0, -1), (0, "a"), (0, 1.5)):
            t.outcome(f"bad {args}", left.sendfile, file, *args)
        left.setblocking(False)
        t.outcome("no blocking", left.sendfile, file)
        t.outcome("text", left.sendfile, io.StringIO("text"))
        with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            t.outcome("datagrams", datagrams.sendfile, file)
        right.close()
        left.settimeout(None)
        t.outcome("gone", left.sendfile, file)


def case_create_connection(t: Any) -> None:
    port = closed_port()
    t.outcome("refused", socket.create_connection, ("127.0.0.1", port))
    t.outcome("refused", socket.create_connection, ("localhost", port))
    try:
        socket.create_connection(("127.0.0.1", port), all_errors=True)
    except ExceptionGroup as group:
        t.note(str(group), [str(error) for error in group.exceptions])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        with socket.create_connection(address, timeout=5, source_address=("127.0.0.2", 0)) as sock:
            t.note(sock.gettimeout(), sock.getsockname()[0])
        t.outcome("bad source", socket.create_connection, address, source_address=("192.0.2.1", 0))
        t.outcome("bad timeout", socket.create_connection, address, timeout=-1)
        t.outcome("bad address", socket.create_connection, ("127.0.0.1",))
        t.outcome("bad port", socket.create_connection, ("127.0.0.1", -5))
        t.outcome("in use", socket.create_server, address)
    t.outcome("bad family", socket.create_server, ("127.0.0.1", 0), family=socket.AF_UNIX)
    t.outcome("no dual stack", socket.create_server, ("127.0.0.1", 0), dualstack_ipv6=True)
    t.note(socket.has_dualstack_ipv6())
    t.outcome("bad host", socket.create_server, ("300.0.0.1", 0))


def case_socketpair(t: Any) -> None:
    for args in ((), (socket.AF_UNIX, socket.SOCK_DGRAM), (socket.AF_UNIX, socket.SOCK_SEQPACKET), (socket.AF_INET,)):
        pair = t.outcome(f"socketpair {args}", lambda args=args: [type(one) for one in socket.socketpair(*args)])
        t.note(pair)
    left, right = socket.socketpair()
    t.note(left.family, left.type, left.proto, left.getsockname(), right.getpeername(), left.getblocking())
    t.note(os.get_inheritable(left.fileno()), left.get_inheritable())
    left.set_inheritable(True)
    t.note(left.get_inheritable(), errno.errorcode[left.connect_ex("/nonexistent")])
