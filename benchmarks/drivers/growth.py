"""Many connections to one server, from client processes: what a message costs, and what a connection takes of memory.

The server runs under the launcher; each client process is a hand-written loop on one epoll object, the same for every
launcher, so that all costs are the server's alone. An operation is one message, received and sent by the server; CPU
time and memory are the server's. Every echo is compared with what was sent.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from types import TracebackType

from benchmarks.drivers.serving import Server, add_program, print_sample
from benchmarks.environment import ROOT

FIRST = 100  # connections before the measured ones, which stay open: they fill what memory is free at the start
SETTLE_SECONDS = 0.2  # for the server's last threads to come to their wait


def share(numbers: range, parts: int) -> list[range]:
    """The numbers in so many parts of about the same size."""
    bounds = [len(numbers) * part // parts for part in range(parts + 1)]
    return [numbers[start:stop] for start, stop in pairwise(bounds)]


class ClientProcess:
    """One of the client processes; see `client.py`."""

    def __init__(self, server: Server, first: range, numbers: range, trips: int) -> None:
        command = [
            sys.executable, "-m", "benchmarks.drivers.client", str(server.address[1]),
            str(first.start), str(first.stop), str(numbers.start), str(numbers.stop), str(trips),
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def tell(self, word: str) -> None:
        """Give it a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    def expect(self, word: str) -> None:
        """Wait for a line; ValueError if it is another one, or the process has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if line != word:
            raise ValueError(f"a client process said {line!r}, not {word!r}")

    def end(self) -> None:
        """Let it close its connections and end."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


class ClientProcesses:
    """All of them, in step."""

    def __init__(self, server: Server, connections: int, processes: int, trips: int) -> None:
        shares = zip(share(range(FIRST), processes), share(range(FIRST, FIRST + connections), processes), strict=True)
        self._members = [ClientProcess(server, first, numbers, trips) for first, numbers in shares]

    def __enter__(self) -> ClientProcesses:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in self._members:
            member.end()

    def all_do(self, word: str) -> None:
        """Give all of them the word, and wait until each has answered with it."""
        for member in self._members:
            member.tell(word)
        for member in self._members:
            member.expect(word)


def main(argv: Sequence[str]) -> int:
    """Run the benchmark; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=100, help="default 100")
    parser.add_argument("--messages", type=int, default=20_000, help="on all connections together (default 20,000)")
    parser.add_argument("--processes", type=int, default=2, help="of clients (default 2)")
    add_program(parser)
    options = parser.parse_args(argv)
    trips = max(1, options.messages // options.connections)
    with Server(options.prefix, options.program, "--connections", str(FIRST + options.connections)) as server:
        with ClientProcesses(server, options.connections, options.processes, trips) as clients:
            clients.all_do("begin")
            time.sleep(SETTLE_SECONDS)
            empty = server.costs()
            clients.all_do("connect")
            time.sleep(SETTLE_SECONDS)
            before, start = server.costs(), time.monotonic()
            clients.all_do("exchange")
            after, end = server.costs(), time.monotonic()
    print_sample(
        trips * options.connections,
        after.cpu_seconds - before.cpu_seconds,
        end - start,
        after.peak_rss_bytes,
        # per operation, as everything is: scaled so that one message's share is one connection's memory
        (before.rss_bytes - empty.rss_bytes) * trips,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
