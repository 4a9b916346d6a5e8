"""What the tests of the backup example share: starting its programs, and a protocol of their own.

The frames here are made without the example's code, so that a test can misbehave
and so that the documented protocol is checked from outside.
"""

from __future__ import annotations

import ctypes
import hashlib
import hmac
import json
import os
import signal
import socket
import ssl
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

LAUNCHERS = [[sys.executable], [sys.executable, "-m", "dhagapatch"]]
PROJECT = Path(__file__).resolve().parents[2]
EXAMPLE = PROJECT / "examples" / "backup"
TOKEN = b"0123456789abcdef0123456789abcdef"
MIB = 1 << 20
SECONDS = 30.0

PR_CAPBSET_DROP = 24
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2


@dataclass
class Result:
    """How a client ended."""

    code: int
    facts: Any
    errors: str


class Rig:
    """A directory with keys, and the processes a test starts in it."""

    def __init__(self, launcher: list[str], directory: Path, keys: Path) -> None:
        self.launcher = launcher
        self.directory = directory
        self.keys = keys
        self.store = directory / "store"
        self.port = 0
        self._processes: list[subprocess.Popen[str]] = []
        self._sockets: list[ssl.SSLSocket] = []

    def spawn(self, *command: str, drop: bool = False) -> subprocess.Popen[str]:
        """Start a program of the example under the launcher."""
        process = subprocess.Popen(
            [*self.launcher, *command],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="backslashreplace",
            env={**os.environ, "PYTHONFAULTHANDLER": "1"},
            preexec_fn=obey_permissions if drop else None,
        )
        self._processes.append(process)
        return process

    def serve(self, *options: str) -> subprocess.Popen[str]:
        """Start a server on the port of the one before and wait until it is ready."""
        ready = self.directory / "ready"
        ready.unlink(missing_ok=True)
        server = self.spawn(*self.server_command(), "--ready-file", str(ready), *options)
        wait_until(lambda: ready.exists() or server.poll() is not None, "the server is ready")
        assert server.poll() is None, server.communicate()
        self.port = int(ready.read_text().split()[1])
        return server

    def server_command(self) -> list[str]:
        return [
            *[str(EXAMPLE / "server.py"), "--store", str(self.store), "--port", str(self.port)],
            *["--cert", str(self.keys / "cert.pem"), "--key", str(self.keys / "key.pem")],
            *["--token-file", str(self.keys / "token")],
        ]

    def start(self, *arguments: str, drop: bool = False) -> subprocess.Popen[str]:
        """Start a client command; options given here win over the usual ones."""
        command, *rest = arguments
        usual = [*self.credentials(), "--quiet", "--json"]
        return self.spawn(str(EXAMPLE / "client.py"), command, *usual, *rest, drop=drop)

    def credentials(self) -> list[str]:
        """The options every client command needs."""
        return [
            *["--server", f"127.0.0.1:{self.port}", "--cafile", str(self.keys / "ca.pem")],
            *["--token-file", str(self.keys / "token")],
        ]

    def client(self, *arguments: str, drop: bool = False) -> Result:
        """Run a client command to its end."""
        return finish(self.start(*arguments, drop=drop))

    def ok(self, *arguments: str) -> Any:
        """Run a client command that must succeed; return its facts."""
        result = self.client(*arguments)
        assert result.code == 0, result
        return result.facts

    def connect(self) -> ssl.SSLSocket:
        """A TLS connection to the server, the greeting not yet read."""
        context = ssl.create_default_context(cafile=str(self.keys / "ca.pem"))
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS)
        sock = context.wrap_socket(raw, server_hostname="127.0.0.1")
        self._sockets.append(sock)
        return sock

    def log_in(self) -> ssl.SSLSocket:
        """A connection on which requests may be sent."""
        sock = self.connect()
        nonce = receive(sock)[0]["nonce"]
        message = "\0".join(["client", nonce, "my-nonce", "tester"]).encode()
        proof = hmac.new(TOKEN, message, hashlib.sha256).hexdigest()
        sock.sendall(
            frame({"op": "login", "client": "tester", "nonce": "my-nonce", "proof": proof})
        )
        assert receive(sock)[0]["ok"] is True
        return sock

    def subscribers(self) -> int:
        """How many clients the server has on its notification channel."""
        with self.log_in() as sock:
            sock.sendall(frame({"op": "stats"}))
            return int(receive(sock)[0]["subscribers"])

    def stop(self, server: subprocess.Popen[str]) -> None:
        """SIGTERM; the server must end with 0."""
        server.send_signal(signal.SIGTERM)
        result = finish(server)
        assert result.code == 0, result

    def stored(self) -> int:
        """Bytes of the segments in the store."""
        return sum(path.stat().st_size for path in self.store.glob("segments/*/*.seg"))

    def dispose(self) -> None:
        """Close and end whatever is left."""
        for sock in self._sockets:
            sock.close()
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.communicate()


def obey_permissions() -> None:
    """In the child: make permission bits count for root too."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "prctl")


def finish(process: subprocess.Popen[str], seconds: float = SECONDS) -> Result:
    """Wait for a process; one that hangs is made to show where, and fails the test."""
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        try:
            output, errors = process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = process.communicate()
        pytest.fail(f"{process.args!r} did not end within {seconds} s\n{output}\n{errors}")
    lines = output.splitlines()
    facts = json.loads(lines[-1]) if lines and lines[-1][0] in "[{" else None
    return Result(process.returncode, facts, errors)


def failing(process: subprocess.Popen[str], code: int) -> str:
    """Wait for a process that must end with `code`; return what it said on standard error."""
    result = finish(process)
    assert result.code == code, result
    return result.errors


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.01)


def frame(header: dict[str, Any], body: bytes = b"", version: int = 1) -> bytes:
    raw = json.dumps(header).encode()
    return struct.pack(">2sBBII", b"BK", version, 0, len(raw), len(body)) + raw + body


def receive(sock: ssl.SSLSocket) -> tuple[dict[str, Any], bytes]:
    _, version, _, header, body = struct.unpack(">2sBBII", exactly(sock, 12))
    assert version == 1
    return json.loads(exactly(sock, header)), exactly(sock, body)


def exactly(sock: ssl.SSLSocket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        assert more, "the server closed the connection"
        data += more
    return data


def at_end(sock: ssl.SSLSocket) -> bool:
    """Whether the server has closed the connection, by whatever means."""
    try:
        return sock.recv(1) == b""
    except (ConnectionError, ssl.SSLError):
        return True


def random_file(path: Path, size: int) -> bytes:
    data = os.urandom(size)
    path.write_bytes(data)
    return data


def picture(root: bytes) -> dict[bytes, tuple[Any, ...]]:
    """Everything about a tree that a restored one must have, by relative path."""
    seen: dict[bytes, tuple[Any, ...]] = {}
    pending = [b""]
    while pending:
        path = pending.pop()
        full = os.path.join(root, path)
        info = os.lstat(full)
        facts: tuple[Any, ...] = (stat.S_IFMT(info.st_mode), info.st_mtime_ns)
        if stat.S_ISLNK(info.st_mode):
            facts += (os.readlink(full),)
        else:
            facts += (stat.S_IMODE(info.st_mode),)
        if stat.S_ISDIR(info.st_mode):
            pending += [os.path.join(path, name) for name in os.listdir(full)]
        elif stat.S_ISREG(info.st_mode):
            with open(full, "rb") as file:
                facts += (info.st_size, hashlib.sha256(file.read()).hexdigest())
        seen[path] = facts
    return seen
