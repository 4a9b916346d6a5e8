"""The backup example's server, under clients that each send a mix of requests; one process. An operation is one request.

Every client is a thread with its own TLS connection, logged in; it asks which chunks the server holds, fetches some,
asks for totals, and now and then stores a chunk, which the server writes to disk before it answers. Server and client
are those of `examples/backup`, as they are. `--keys` is a folder with `cert.pem`, `key.pem` and `ca.pem`.
"""

from __future__ import annotations

import argparse
import hashlib
import secrets
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # no launcher puts the checkout's folder there
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples" / "backup"))  # its modules are no package

import tls  # type: ignore[import-not-found]
from catalog import Catalog  # type: ignore[import-not-found]
from chunkstore import ChunkStore  # type: ignore[import-not-found]
from hub import Hub  # type: ignore[import-not-found]
from protocol import pack_table  # type: ignore[import-not-found]
from rpc import Client, Target  # type: ignore[import-not-found]
from server import Server  # type: ignore[import-not-found]
from service import Service  # type: ignore[import-not-found]
from session import Environment  # type: ignore[import-not-found]

from benchmarks.programs.stopwatch import Crowd, Stopwatch, allow_descriptors, report

CHUNK_BYTES = 4096
HELD = 64  # chunks that the server holds before the measured section
ASKED = 16  # digests in one question
STORE_EVERY = 16  # requests


def chunk(text: str) -> tuple[bytes, bytes]:
    """A chunk that begins with `text`, and its digest before it."""
    data = text.encode().ljust(CHUNK_BYTES, b".")
    return hashlib.sha256(data).digest(), data


class Clients(Crowd):
    """The client threads."""

    def __init__(self, target: Target, clients: int, requests: int) -> None:
        super().__init__(clients)
        self.target = target
        self.requests = requests
        self.held = [chunk(f"held {number}") for number in range(HELD)]

    def store(self) -> None:
        """Give the server what it holds from the start."""
        with Client(self.target, "first") as client:
            client.call({"op": "put", "count": HELD}, [pack_table(self.held), *(data for _, data in self.held)])

    def request(self, client: Client, number: int, step: int) -> None:
        """One request of the mix; ValueError if the answer is not what it must be."""
        if step % STORE_EVERY == STORE_EVERY - 1:
            new = chunk(f"client {number} step {step}")
            good = client.call({"op": "put", "count": 1}, [pack_table([new]), new[1]]).header["stored"] == 1
        elif step % 8 == 3:
            good = client.call({"op": "stats"}).header["chunks"] >= HELD
        elif step % 2:
            digest, data = self.held[(number + step) % HELD]
            good = client.call({"op": "get"}, [digest]).body == data
        else:
            digests = [self.held[(number + step + which) % HELD][0] for which in range(ASKED - 1)]
            good = client.call({"op": "have"}, [*digests, bytes(32)]).body == b"\1" * (ASKED - 1) + b"\0"
        if not good:
            raise ValueError(f"bad answer in step {step}")

    def run(self, number: int) -> None:
        """One client: log in, wait for the others, send requests."""
        try:
            with Client(self.target, f"client {number}") as client:
                try:
                    client.connect()
                finally:
                    self.ready.count_down()
                self.go.wait()
                for step in range(self.requests):
                    self.request(client, number, step)
                if client.retries.value:
                    raise ValueError(f"{client.retries.value} requests had to be repeated")
        except Exception as error:
            self.errors.append(f"client {number}: {error!r}")
        finally:
            self.done.count_down()


def main() -> int:
    """Run the benchmark; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=Path, required=True, help="folder with cert.pem, key.pem and ca.pem")
    parser.add_argument("--clients", type=int, default=200, help="default 200")
    parser.add_argument("--requests", type=int, default=16, help="of each client (default 16)")
    options = parser.parse_args()
    allow_descriptors(2 * options.clients + 100)
    context = tls.server_context(options.keys / "cert.pem", options.keys / "key.pem")
    watch = Stopwatch()
    token = secrets.token_bytes()
    with tempfile.TemporaryDirectory() as folder:
        store, catalog, hub = ChunkStore(Path(folder)), Catalog(Path(folder) / "catalog.sqlite"), Hub()
        server = Server("127.0.0.1", 0, Environment(context, token, Service(store, catalog, hub), hub), catalog)
        target = Target("127.0.0.1", server.start(), tls.client_context(options.keys / "ca.pem"), token)
        clients = Clients(target, options.clients, options.requests)
        clients.store()
        threads = [threading.Thread(target=clients.run, args=(number,)) for number in range(options.clients)]
        clients.measure(threads, watch)
        if not server.stop(10):
            clients.errors.append("sessions of the server did not end")
        catalog.release()
        store.close()
    return report(options.clients * options.requests, watch, clients.errors)


if __name__ == "__main__":
    sys.exit(main())
