"""The backup server: one thread per connection, over TLS.

    server.py --store DIR --cert FILE --key FILE --token-file FILE
              [--host 127.0.0.1] [--port 0] [--ready-file FILE]
              [--quota-bytes N] [--grace-seconds 30] [--log-level warning]

Once it accepts connections it prints ``ready HOST PORT`` and, with
--ready-file, writes ``HOST PORT`` to that file. SIGTERM and SIGINT end it: it
takes no new connections, finishes the requests that are running, tells the
clients on the notification channel, and exits with 0. Exit codes are in
errors.py; 1 means that requests were still running after --grace-seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import queue
import signal
import socket
import sqlite3
import sys
import threading
import time
from pathlib import Path

import auth
import tls
from catalog import Catalog
from chunkstore import ChunkStore
from errors import BackupError, ExitCode, UsageError
from hub import Hub
from limits import raise_descriptor_limit
from service import Service
from session import Environment, Session

BACKLOG = 1024
ACCEPT_SECONDS = 0.25
RETRY_ACCEPT_SECONDS = 0.1

log = logging.getLogger("backup.server")


class Server:
    """Accepts connections and runs a `Session` for each in a thread of its own."""

    def __init__(self, host: str, port: int, environment: Environment, catalog: Catalog) -> None:
        """Bind and listen; UsageError if the address cannot be had. Port 0 picks one."""
        self._environment = environment
        self._catalog = catalog
        self._lock = threading.Lock()
        self._sessions: dict[threading.Thread, Session] = {}
        self._stopping = False
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind((host, port))
            self._listener.listen(BACKLOG)
        except OSError as error:
            self._listener.close()
            raise UsageError(f"cannot listen on {host} port {port}: {error.strerror}") from None
        self._listener.settimeout(ACCEPT_SECONDS)
        self._acceptor = threading.Thread(target=self._accept, name="acceptor", daemon=True)

    def start(self) -> int:
        """Begin to accept connections, in a thread; return the port."""
        self._acceptor.start()
        return int(self._listener.getsockname()[1])

    def stop(self, grace_seconds: float) -> bool:
        """Stop accepting, let running requests finish; whether all did in time."""
        deadline = time.monotonic() + grace_seconds
        with self._lock:
            self._stopping = True
        self._acceptor.join()
        self._environment.hub.close()
        with self._lock:
            sessions = dict(self._sessions)
        for session in sessions.values():
            session.stop()
        for thread in sessions:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in sessions)

    def _accept(self) -> None:
        while not self._stopping:
            try:
                sock, address = self._listener.accept()
            except TimeoutError:
                continue
            except OSError as error:
                # Out of descriptors, or the client is gone already: go on.
                log.warning("cannot accept a connection: %s", error)
                time.sleep(RETRY_ACCEPT_SECONDS)
                continue
            self._serve(sock, f"{address[0]}:{address[1]}")
        self._listener.close()

    def _serve(self, sock: socket.socket, peer: str) -> None:
        session = Session(sock, peer, self._environment)
        thread = threading.Thread(target=self._run, args=(session,), name=peer, daemon=True)
        with self._lock:
            self._sessions[thread] = session
        try:
            thread.start()
        except RuntimeError as error:
            log.error("no thread for %s: %s", peer, error)
            sock.close()
            with self._lock:
                del self._sessions[thread]

    def _run(self, session: Session) -> None:
        try:
            session.run()
        except Exception:
            log.exception("a session failed")
        finally:
            self._catalog.release()
            with self._lock:
                self._sessions.pop(threading.current_thread(), None)


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line, see the module's docstring."""
    parser = argparse.ArgumentParser(description="The backup server.")
    parser.add_argument("--store", type=Path, required=True, help="directory to keep backups in")
    parser.add_argument("--cert", type=Path, required=True, help="certificate chain, PEM")
    parser.add_argument("--key", type=Path, required=True, help="its private key, PEM")
    parser.add_argument("--token-file", type=Path, required=True, help="shared secret")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--ready-file", type=Path, help="where to write HOST PORT")
    parser.add_argument("--quota-bytes", type=int, help="most bytes of chunks to hold")
    parser.add_argument("--grace-seconds", type=float, default=30.0)
    parser.add_argument(
        "--log-level", default="warning", choices=["debug", "info", "warning", "error"]
    )
    return parser.parse_args(argv)


def announce(host: str, port: int, ready_file: Path | None) -> None:
    """Tell whoever waits that connections are accepted."""
    if ready_file is not None:
        temporary = ready_file.with_name(ready_file.name + ".tmp")
        temporary.write_text(f"{host} {port}\n")
        os.replace(temporary, ready_file)
    print(f"ready {host} {port}", flush=True)


def serve(options: argparse.Namespace) -> ExitCode:
    """Run the server until a signal; see the module's docstring."""
    # A signal handler may interrupt any line of the main thread, one that holds
    # a lock too. SimpleQueue.put is made to be safe there, Event.set is not.
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: signals.put(received))
    raise_descriptor_limit()
    context = tls.server_context(options.cert, options.key)
    token = auth.read_token(options.token_file)
    store = ChunkStore(options.store, options.quota_bytes)
    with contextlib.closing(store):
        catalog = Catalog(options.store / "catalog.sqlite")
        hub = Hub()
        environment = Environment(context, token, Service(store, catalog, hub), hub)
        server = Server(options.host, options.port, environment, catalog)
        announce(options.host, server.start(), options.ready_file)
        received = signals.get()
        log.info("%s: stopping", signal.Signals(received).name)
        finished = server.stop(options.grace_seconds)
        catalog.release()
    if not finished:
        log.error("requests were still running after %g s", options.grace_seconds)
    return ExitCode.OK if finished else ExitCode.DIFFERENT


def main(argv: list[str] | None = None) -> int:
    """Run the program; return its exit code."""
    options = parse_arguments(argv)
    logging.basicConfig(
        level=options.log_level.upper(), format="%(asctime)s %(name)s %(levelname)s: %(message)s"
    )
    try:
        return serve(options)
    except BackupError as error:
        print(f"server: {error}", file=sys.stderr)
        return error.exit_code
    except (OSError, sqlite3.Error) as error:
        print(f"server: {options.store}: {error}", file=sys.stderr)
        return ExitCode.DIFFERENT


if __name__ == "__main__":
    sys.exit(main())
