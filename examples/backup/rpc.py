"""The client's side of a connection, and its retrying.

A `Client` holds one connection for one thread. `Client.call` reconnects and
repeats a request that a lost connection, a timeout or a stopping server cut
short, waiting longer each time, until `retry_seconds` have gone by without an
answer. All requests but a broadcast may be repeated without harm.
"""

from __future__ import annotations

import contextlib
import random
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType

import auth
from errors import (
    AuthenticationError,
    BackupError,
    CancelledError,
    ProtocolError,
    StoreFullError,
    UnreachableError,
)
from protocol import Buffer, ErrorCode, Frame, Header, read_frame, send_frame

FIRST_DELAY_SECONDS = 0.1
MAX_DELAY_SECONDS = 5.0


@dataclass(frozen=True)
class Target:
    """Which server to talk to, as whom, and for how long to try."""

    host: str
    port: int
    context: ssl.SSLContext
    token: bytes
    retry_seconds: float = 60.0
    timeout_seconds: float = 30.0


@dataclass
class Backoff:
    """Growing, jittered delays until a deadline; `stop` interrupts one."""

    limit_seconds: float
    stop: threading.Event
    _attempt: int = 0
    _since: float | None = None

    def wait(self, reason: Exception) -> None:
        """Wait before the next attempt.

        Raises UnreachableError, with the reason, once the limit has passed, and
        CancelledError if `stop` was set.
        """
        now = time.monotonic()
        if self._since is None:
            self._since = now
        left = self._since + self.limit_seconds - now
        if left <= 0:
            raise UnreachableError(
                f"no answer for {self.limit_seconds:g} s: {reason}; start the server or "
                "check --server, then run the same command again"
            ) from reason
        delay = min(MAX_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2**self._attempt)
        self._attempt += 1
        if self.stop.wait(min(left, delay * random.uniform(0.5, 1.0))):
            raise CancelledError("interrupted")


class Counter:
    """A number that threads add to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._value = 0

    def add(self, amount: int = 1) -> int:
        """Add; return the sum."""
        with self._lock:
            self._value += amount
            return self._value

    @property
    def value(self) -> int:
        """The sum so far."""
        return self._value


@dataclass
class Client:
    """An authenticated connection that comes back when it is lost. Not for sharing.

    `stop`, when set by another thread, ends waiting between attempts; `retries`
    counts attempts beyond the first.
    """

    target: Target
    name: str
    stop: threading.Event = field(default_factory=threading.Event)
    retries: Counter = field(default_factory=Counter)
    _sock: ssl.SSLSocket | None = None

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def call(self, header: Header, body: Sequence[Buffer] = (), repeat: bool = True) -> Frame:
        """Send a request and return its answer, retrying as described above.

        With repeat=False a request is not sent again once it was sent. Raises
        the BackupError that fits: UnreachableError, AuthenticationError,
        StoreFullError, ProtocolError for a refusal, CancelledError.
        """
        backoff = Backoff(self.target.retry_seconds, self.stop)
        while True:
            if self.stop.is_set():
                raise CancelledError("interrupted")
            connected = False
            try:
                sock = self.connect()
                connected = True
                send_frame(sock, header, body)
                return _checked(read_frame(sock))
            except (OSError, _ServerStopping) as error:
                self.close()
                if connected and not repeat:
                    raise UnreachableError(f"the connection was lost: {error}") from error
                self.retries.add()
                backoff.wait(error)
            except ProtocolError as error:
                if error.code in (ErrorCode.BAD_FRAME, ErrorCode.BAD_VERSION):
                    self.close()
                raise

    def connect(self) -> ssl.SSLSocket:
        """The connection, made and logged in now if need be; OSError if that fails."""
        if self._sock is None:
            self._sock = _connect(self.target, self.name)
        return self._sock

    def shut(self) -> None:
        """Wake this client's thread out of a read, from another thread."""
        sock = self._sock
        if sock is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _ServerStopping(Exception):
    """The server answered that it is stopping."""


def _connect(target: Target, name: str) -> ssl.SSLSocket:
    raw = socket.create_connection((target.host, target.port), target.timeout_seconds)
    try:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock = target.context.wrap_socket(raw, server_hostname=target.host)
    except ssl.SSLCertVerificationError as error:
        raise AuthenticationError(
            f"the server's certificate does not verify: {error.verify_message}; "
            "give --cafile the authority that signed it"
        ) from None
    except BaseException:
        raw.close()
        raise
    try:
        _log_in(sock, target.token, name)
    except BaseException:
        sock.close()
        raise
    return sock


def _log_in(sock: ssl.SSLSocket, token: bytes, name: str) -> None:
    server_nonce = read_frame(sock).header.get("nonce")
    if not isinstance(server_nonce, str):
        raise ProtocolError(ErrorCode.BAD_FRAME, "this is not a backup server: no greeting")
    nonce = auth.new_nonce()
    proof = auth.prove(token, "client", server_nonce, nonce, name)
    send_frame(sock, {"op": "login", "client": name, "nonce": nonce, "proof": proof})
    answer = _checked(read_frame(sock)).header
    expected = auth.prove(token, "server", server_nonce, nonce, name)
    if not auth.proof_is_good(expected, answer.get("proof")):
        raise AuthenticationError("the server does not know the token: check --token-file")


def _checked(answer: Frame) -> Frame:
    if answer.header.get("ok") is True:
        return answer
    code = str(answer.header.get("code"))
    message = str(answer.header.get("message"))
    error: BackupError
    if code == ErrorCode.SHUTTING_DOWN:
        raise _ServerStopping(message)
    if code == ErrorCode.AUTH_FAILED:
        error = AuthenticationError(message)
    elif code == ErrorCode.STORE_FULL:
        error = StoreFullError(message)
    else:
        error = ProtocolError(code, f"the server refused: {message} ({code})")
    raise error
