"""One client's connection on the server: TLS, login, then request after request."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
import time
from dataclasses import dataclass

import auth
from errors import ProtocolError, StoreFullError
from hub import Hub
from protocol import (
    LOGIN_LIMITS,
    SESSION_LIMITS,
    VERSION,
    ConnectionLost,
    ErrorCode,
    Frame,
    read_frame,
    read_payload,
    read_preamble,
    send_frame,
)
from service import Service

HANDSHAKE_SECONDS = 60.0
REQUEST_SECONDS = 60.0
IDLE_SECONDS = 600.0
FAILED_LOGIN_SECONDS = 0.5
LINGER_SECONDS = 2.0
LINGER_BYTES = 16 << 20

log = logging.getLogger("backup.session")


@dataclass(frozen=True)
class Environment:
    """What every session of a server shares."""

    context: ssl.SSLContext
    token: bytes
    service: Service
    hub: Hub


class Session:
    """Serves one connection, in the thread that calls `run`."""

    def __init__(self, raw: socket.socket, peer: str, environment: Environment) -> None:
        self._sock = raw
        self._peer = peer
        self._environment = environment
        self._lock = threading.Lock()
        self._busy = False
        self._stopping = False

    def run(self) -> None:
        """Serve until the client leaves, an error ends it, or `stop` is called."""
        try:
            self._converse()
        except ProtocolError as error:
            log.warning("%s: %s", self._peer, error)
            self._refuse(error.code, str(error))
        except ConnectionLost:
            log.debug("%s: left", self._peer)
        except OSError as error:
            log.info("%s: connection failed: %s", self._peer, error)
        finally:
            self._sock.close()

    def stop(self) -> None:
        """Let the session end: at once if it is idle, else after its request.

        Only the reading half of the socket is shut, and below TLS: a thread
        waiting for a request sees the end of the stream, while a reply on its
        way out is not disturbed.
        """
        with self._lock:
            self._stopping = True
            if not self._busy:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(self._sock, socket.SHUT_RD)

    def _converse(self) -> None:
        self._sock.settimeout(HANDSHAKE_SECONDS)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            tls_socket = self._environment.context.wrap_socket(
                self._sock, server_side=True, do_handshake_on_connect=False
            )
            self._sock = tls_socket
        tls_socket.do_handshake()
        client = self._login()
        while True:
            request = self._next_request()
            if request.header.get("op") == "subscribe":
                self._sock.settimeout(REQUEST_SECONDS)
                self._environment.hub.serve(self._sock, client)
                return
            self._answer(request)

    def _login(self) -> str:
        nonce = auth.new_nonce()
        send_frame(self._sock, {"hello": "backup", "version": VERSION, "nonce": nonce})
        login = read_frame(self._sock, LOGIN_LIMITS).header
        client, client_nonce = login.get("client"), login.get("nonce")
        if not isinstance(client, str) or not isinstance(client_nonce, str):
            raise ProtocolError(ErrorCode.BAD_REQUEST, "log in first")
        token = self._environment.token
        expected = auth.prove(token, "client", nonce, client_nonce, client)
        if not auth.proof_is_good(expected, login.get("proof")):
            time.sleep(FAILED_LOGIN_SECONDS)
            raise ProtocolError(
                ErrorCode.AUTH_FAILED, "wrong token: give the client the server's token file"
            )
        proof = auth.prove(token, "server", nonce, client_nonce, client)
        send_frame(self._sock, {"ok": True, "proof": proof})
        return client

    def _next_request(self) -> Frame:
        with self._lock:
            if self._stopping:
                raise ConnectionLost("the server is stopping")
            self._busy = False
        self._sock.settimeout(IDLE_SECONDS)
        header, body = read_preamble(self._sock, SESSION_LIMITS)
        with self._lock:
            self._busy = True
        self._sock.settimeout(REQUEST_SECONDS)
        return read_payload(self._sock, header, body)

    def _answer(self, request: Frame) -> None:
        try:
            reply = self._environment.service.handle(request)
        except ProtocolError as error:
            self._send_error(error.code, str(error))
        except StoreFullError as error:
            log.error("%s", error)
            self._send_error(ErrorCode.STORE_FULL, str(error))
        except Exception:
            log.exception("%s: request %r failed", self._peer, request.header.get("op"))
            self._send_error(ErrorCode.INTERNAL, "the server failed: its log says why")
        else:
            send_frame(self._sock, {"ok": True, **reply.fields}, reply.body)

    def _send_error(self, code: str, message: str) -> None:
        send_frame(self._sock, {"ok": False, "code": code, "message": message})

    def _refuse(self, code: str, message: str) -> None:
        """Say why, then read on a little: closing on unread data could lose the answer."""
        with contextlib.suppress(OSError):
            self._sock.settimeout(LINGER_SECONDS)
            self._send_error(code, message)
            socket.socket.shutdown(self._sock, socket.SHUT_WR)
            deadline = time.monotonic() + LINGER_SECONDS
            left = LINGER_BYTES
            while left > 0 and time.monotonic() < deadline:
                data = self._sock.recv(1 << 16)
                if not data:
                    return
                left -= len(data)
