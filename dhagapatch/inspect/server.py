"""A UNIX socket at which another process of the same user asks what this one is doing: one line of JSON for each request.

It is served by the watcher, so it answers while a hub is stuck.  Only its owner may connect: the socket has mode 0600, the usual
one lies in a folder with mode 0700, and where the kernel tells who has connected, that is looked at too.
"""

from __future__ import annotations

import _socket
import atexit
import json
import os
import stat
import struct
from typing import Any

from dhagapatch import _real
from dhagapatch._errors import DhagapatchError
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.own import disown, set_apart
from dhagapatch.inspect.counts import stats
from dhagapatch.inspect.place import usual_path
from dhagapatch.inspect.snapshot import take
from dhagapatch.inspect.stalls import longest_stalls
from dhagapatch.inspect.watcher import Part

__all__ = ["Server", "answer"]

_UNIX, _STREAM = _socket.AF_UNIX, _socket.SOCK_STREAM
_PEER: int | None = getattr(_socket, "SO_PEERCRED", None)
_CREDENTIALS = struct.Struct("3i")  # process, user, group
_LONGEST = 1000  # bytes of a request
_MOST = 16  # connections
_PATIENCE = 1.0  # seconds that a client may take to read an answer


def answer(request: bytes) -> dict[str, Any]:
    """What is said to one line."""
    word = request.strip().decode("utf-8", "replace")
    if word == "dump":
        dump = take()
        return {"dump": dump.as_dict(), "text": str(dump)}
    if word == "stats":
        stalls = [{**stall._asdict(), "place": stall.place._asdict()} for stall in longest_stalls()]
        return {"stats": stats(), "stalls": stalls, "dump": take().as_dict()}
    return {"error": f"no request {word!r}; there are dump and stats"}


class Server(Part):
    """A part of the watcher."""

    def __init__(self, path: str, must: bool = True) -> None:
        self._asked = path
        self._must = must
        self.path = ""
        self._pid = 0
        self._listener: Any = None
        self._clients: dict[int, tuple[Any, bytes]] = {}
        self._lost = ""
        atexit.register(self._remove)

    @property
    def fds(self) -> tuple[int, ...]:
        if self._listener is None:
            return ()
        return (self._listener.fileno(), *self._clients)

    @fds.setter
    def fds(self, fds: tuple[int, ...]) -> None:
        """Somebody has closed them."""
        for sock in (self._listener, *(sock for sock, _ in self._clients.values())):
            if sock is not None:
                disown(sock.detach())
        self._listener = None
        self._clients = {}

    def begin(self) -> None:
        first = not self._pid
        self._pid = os.getpid()
        self.path = self._asked if self._asked != "1" else usual_path(self._pid, make=True)
        if not first and self._asked != "1":
            self.path += f".{self._pid}"  # a forked child's; the other one is its parent's
        elif not self._must and _is_in_use(self.path):
            self.path += f".{self._pid}"  # a child's that has inherited the setting
        _free(self.path)
        sock = _real.socket(_UNIX, _STREAM)
        sock = _real.socket(_UNIX, _STREAM, 0, fileno=set_apart(sock.detach()))
        try:
            sock.bind(self.path)
            os.chmod(self.path, 0o600)  # before anybody can connect
        except OSError as error:
            _close(sock)
            raise DhagapatchError(f"inspect={self.path!r}: {error.strerror or error}; give another path") from None
        sock.listen(_MOST)
        sock.setblocking(False)
        self._listener = sock

    def end(self, forked: bool = False) -> None:
        if not forked:
            self._remove()
        for sock, _ in self._clients.values():
            _close(sock)
        self._clients = {}
        if self._listener is not None:
            _close(self._listener)
        self._listener = None

    def _remove(self) -> None:
        if self._pid == os.getpid() and self._listener is not None:
            try:
                os.unlink(self.path)
            except OSError:
                pass

    def act(self, ready: list[int]) -> None:
        for fd in ready:
            if self._listener is not None and fd == self._listener.fileno():
                self._accept()
            elif fd in self._clients:
                self._receive(fd)

    def _accept(self) -> None:
        try:
            fd, _ = self._listener._accept()
        except OSError:
            return
        sock = _real.socket(fileno=set_apart(fd))
        if len(self._clients) >= _MOST or not _may(sock):
            _close(sock)
            return
        sock.settimeout(_PATIENCE)
        self._clients[sock.fileno()] = (sock, b"")

    def _receive(self, fd: int) -> None:
        sock, begun = self._clients[fd]
        try:
            data = sock.recv(_LONGEST)
            begun += data
            while (end := begun.find(b"\n")) >= 0:
                line, begun = begun[:end], begun[end + 1 :]
                sock.sendall(json.dumps(answer(line)).encode() + b"\n")
        except OSError:
            data = b""
        if not data or len(begun) > _LONGEST:
            del self._clients[fd]
            _close(sock)
        else:
            self._clients[fd] = (sock, begun)


def _close(sock: Any) -> None:
    disown(sock.fileno())
    sock.close()


def _may(sock: Any) -> bool:
    """Whether the other side is the same user, or root."""
    if _PEER is None:
        return True  # the kernel does not tell in this way; the modes of file and folder are what there is
    user = _CREDENTIALS.unpack(sock.getsockopt(_socket.SOL_SOCKET, _PEER, _CREDENTIALS.size))[1]
    return user in (0, os.geteuid())


def _free(path: str) -> None:
    """Take away a socket that a process has left behind; a DhagapatchError if the path is in use."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise DhagapatchError(f"inspect={path!r}: there is a file already; give another path")
    except FileNotFoundError:
        return
    if _is_in_use(path):
        raise DhagapatchError(f"inspect={path!r}: another process listens there; give another path")
    os.unlink(path)


def _is_in_use(path: str) -> bool:
    sock = _real.socket(_UNIX, _STREAM)
    sock.settimeout(_PATIENCE)
    try:
        sock.connect(path)
    except OSError:
        return False
    finally:
        _close(sock)
    return True
