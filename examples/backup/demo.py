"""The backup product at work: under plain threads, then under dhagapatch.

    demo.py [--tree DIR] [--clients 1000] [--threads 32]
            [--launcher both|threads|dhagas]

For each launcher: back up a tree (the interpreter's standard library unless
--tree is given), restore it and compare every byte, mode and link; back it up
again, when nothing needs to be sent; kill the server in the middle of a backup,
restart it and let the client finish; connect --clients clients to the
notification channel and tell them all something. Prints one table of what each
step cost. Exits with 1, naming it, if anything differed or took too long; with
2 if something that it needs is not installed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

try:
    import trustme
    from rich import box
    from rich.console import Console
    from rich.table import Table
except ImportError as missing:
    print(
        f"demo: {missing}; install what the examples need: "
        "`python -m pip install -e '.[examples]'` in the project's directory",
        file=sys.stderr,
    )
    sys.exit(2)

from compare import differences
from limits import raise_descriptor_limit
from measure import Child, ChildFailed, Cost, combine

HERE = Path(__file__).resolve().parent
EXCLUDE = ("site-packages", "__pycache__")
LAUNCHERS = {"threads": [sys.executable], "dhagas": [sys.executable, "-m", "dhagapatch"]}

READY_SECONDS = 20.0
STEP_SECONDS = 60.0
STOP_SECONDS = 20.0
# The interrupted backup is slowed down to last this long at least.
INTERRUPTED_SECONDS = 2.0
KILL_AT = 0.25
DOWN_SECONDS = 0.3
MAX_SHOWN = 20


class DemoFailed(Exception):
    """Something was not as it should be."""


@dataclass(frozen=True)
class Row:
    """What one step cost under one launcher."""

    step: str
    launcher: str
    seconds: float
    server: Cost
    client: Cost

    def ratios(self, other: Row) -> tuple[float, float]:
        """Wall and CPU, of server and client, to another's."""
        cpu = self.server.cpu_seconds + self.client.cpu_seconds
        its_cpu = other.server.cpu_seconds + other.client.cpu_seconds
        return self.seconds / other.seconds, cpu / max(its_cpu, 0.01)


class Stage:
    """A temporary directory with a token and certificates, and the children started."""

    def __init__(self, directory: Path, launcher: str) -> None:
        self.directory = directory
        self.launcher = launcher
        self._children: list[Child] = []
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1", "localhost")
        authority.cert_pem.write_to_path(str(directory / "ca.pem"))
        issued.private_key_pem.write_to_path(str(directory / "key.pem"))
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        (directory / "cert.pem").write_bytes(chain)
        (directory / "token").write_text(secrets.token_hex(32))

    def spawn(self, name: str, program: str, arguments: Sequence[str]) -> Child:
        """Start server.py or client.py under this stage's launcher."""
        command = [*LAUNCHERS[self.launcher], str(HERE / program), *arguments]
        output = self.directory / f"output-{len(self._children)}"
        child = Child(f"{name} ({self.launcher})", command, output)
        self._children.append(child)
        return child

    def server(self, store: str, port: int = 0) -> tuple[Child, int]:
        """Start a server and wait until it accepts connections; return its port."""
        ready = self.directory / "ready"
        ready.unlink(missing_ok=True)
        arguments = ["--store", str(self.directory / store), "--port", str(port)]
        for option, file in [("cert", "cert.pem"), ("key", "key.pem"), ("token-file", "token")]:
            arguments += [f"--{option}", str(self.directory / file)]
        child = self.spawn("server", "server.py", [*arguments, "--ready-file", str(ready)])
        deadline = time.monotonic() + READY_SECONDS
        while not ready.exists():
            if not child.running or time.monotonic() > deadline:
                raise ChildFailed(f"{child.name} does not get ready\n{child.tail()}")
            time.sleep(0.01)
        return child, int(ready.read_text().split()[1])

    def client(self, port: int, *arguments: str) -> Child:
        """Start a client command."""
        common = ["--server", f"127.0.0.1:{port}", "--json", "--quiet"]
        common += ["--cafile", str(self.directory / "ca.pem")]
        common += ["--token-file", str(self.directory / "token")]
        return self.spawn(arguments[0], "client.py", [*arguments, *common])

    def stop(self, server: Child) -> None:
        """End a server the way an administrator does."""
        server.signal(signal.SIGTERM)
        server.finish(STOP_SECONDS)

    def dispose(self) -> None:
        """End whatever still runs."""
        for child in self._children:
            child.dispose()


class Demo:
    """All steps under one launcher."""

    def __init__(self, stage: Stage, tree: Path, threads: int, clients: int) -> None:
        self._stage = stage
        self._tree = tree
        self._threads = ["--threads", str(threads)]
        self._clients = clients

    def run(self) -> Iterator[Row]:
        """Do the steps one after another; DemoFailed or ChildFailed if one fails."""
        backup = ["backup", str(self._tree), *self._threads]
        for name in EXCLUDE:
            backup += ["--exclude", name]
        row, first = self._step("first backup", "store", backup)
        yield row
        self._expect(first["chunks_sent"] > 0, "the first backup sent no chunk")
        yield self._restore("restore", "store", "restored")
        row, second = self._step("second backup", "store", backup)
        yield row
        self._expect(
            second["chunks_sent"] == 0 and second["bytes"] == first["bytes"],
            f"the second backup was not wholly deduplicated: {second}",
        )
        rate = first["bytes"] / INTERRUPTED_SECONDS
        yield self._killed([*backup, "--limit-rate", str(rate)], int(first["bytes"] * KILL_AT))
        self._restore("restore after the kill", "store-killed", "restored-killed")
        yield self._listen()

    def _step(self, step: str, store: str, arguments: Sequence[str]) -> tuple[Row, Any]:
        """One client command against a server started for it."""
        server, port = self._stage.server(store)
        started = time.monotonic()
        client = self._stage.client(port, *arguments)
        output = client.finish(STEP_SECONDS)
        seconds = time.monotonic() - started
        self._stage.stop(server)
        return self._row(step, seconds, [server], [client]), _result(output)

    def _restore(self, step: str, store: str, into: str) -> Row:
        target = self._stage.directory / into
        arguments = ["restore", "--into", str(target), *self._threads]
        row, _ = self._step(step, store, arguments)
        exclude = [os.fsencode(name) for name in EXCLUDE]
        found = list(differences(os.fsencode(self._tree), os.fsencode(target), exclude))
        shown = "\n".join(found[:MAX_SHOWN])
        self._expect(not found, f"{step}: {len(found)} paths differ:\n{shown}")
        return row

    def _killed(self, backup: Sequence[str], kill_at: int) -> Row:
        """Kill the server once it holds `kill_at` bytes, restart it, and finish."""
        first, port = self._stage.server("store-killed")
        segments = self._stage.directory / "store-killed" / "segments"
        started = time.monotonic()
        client = self._stage.client(port, *backup)
        while _size(segments) < kill_at:
            self._expect(
                client.running,
                f"the backup ended before the server was killed: use a larger --tree\n"
                f"{client.tail()}",
            )
            self._expect(time.monotonic() - started < STEP_SECONDS, "the backup does not begin")
            time.sleep(0.01)
        first.signal(signal.SIGKILL)
        first.finish(STOP_SECONDS, expected=-signal.SIGKILL)
        self._expect(client.running, "the backup ended although the server was killed")
        time.sleep(DOWN_SECONDS)
        second, _ = self._stage.server("store-killed", port)
        result = _result(client.finish(STEP_SECONDS))
        seconds = time.monotonic() - started
        self._stage.stop(second)
        self._expect(result["retries"] > 0, "the client did not notice that the server died")
        return self._row("killed, resumed", seconds, [first, second], [client])

    def _listen(self) -> Row:
        """Connect all clients at once, tell them something, count acknowledgements."""
        count = str(self._clients)
        server, port = self._stage.server("store")
        started = time.monotonic()
        listener = self._stage.client(port, "listen", "--connections", count, "--events", "1")
        teller = self._stage.client(
            port,
            *["broadcast", "policy-changed", "--detail", '{"keep-days": 30}'],
            *["--expect", count, "--wait-seconds", str(STEP_SECONDS / 2)],
        )
        told = _result(teller.finish(STEP_SECONDS))
        seconds = time.monotonic() - started
        heard = _result(listener.finish(STOP_SECONDS))
        self._stage.stop(server)
        self._expect(
            told["acknowledged"] == heard["acknowledged"] == self._clients,
            f"{told['acknowledged']} of {count} clients acknowledged",
        )
        return self._row(f"{count} listeners", seconds, [server], [listener])

    def _row(
        self, step: str, seconds: float, servers: Sequence[Child], clients: Sequence[Child]
    ) -> Row:
        server = combine(child.cost for child in servers if child.cost is not None)
        client = combine(child.cost for child in clients if child.cost is not None)
        return Row(step, self._stage.launcher, seconds, server, client)

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise DemoFailed(f"{otherwise} (under {self._stage.launcher})")


def _result(output: str) -> dict[str, Any]:
    """The JSON object that a client prints last."""
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            result: dict[str, Any] = json.loads(line)
            return result
    raise DemoFailed(f"a client printed no result:\n{output}")


def _size(directory: Path) -> int:
    total = 0
    for path in directory.glob("*/*.seg"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the table: for each step, threads against dhagas."""
    table = Table(
        title="threads against dhagas; memory is the peak resident set, threads the OS's",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1),
        collapse_padding=True,
    )
    table.add_column("step", no_wrap=True)
    table.add_column("run on", no_wrap=True)
    table.add_column("wall\ns", justify="right")
    for quantity in ("CPU s", "MiB", "threads"):
        for side in ("server", "client"):
            table.add_column(f"{quantity}\n{side}", justify="right", no_wrap=True)
    steps = list(dict.fromkeys(row.step for row in rows))
    for step in steps:
        group = [row for row in rows if row.step == step]
        for number, row in enumerate(group):
            table.add_row(
                step if number == 0 else "",
                row.launcher,
                f"{row.seconds:.2f}",
                *(f"{cost.cpu_seconds:.2f}" for cost in (row.server, row.client)),
                *(f"{cost.peak_mib:.0f}" for cost in (row.server, row.client)),
                *(str(cost.threads or "-") for cost in (row.server, row.client)),
                end_section=number == len(group) - 1,
            )
    console.print(table)
    if len({row.launcher for row in rows}) > 1:
        show_ratios(rows, console)


def show_ratios(rows: Sequence[Row], console: Console) -> None:
    """Print a table of what dhagas cost for each step, as a ratio to threads."""
    table = Table(title="dhagas to threads", box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column("step", no_wrap=True)
    table.add_column("wall", justify="right")
    table.add_column("CPU", justify="right")
    natively = {row.step: row for row in rows if row.launcher == "threads"}
    for row in rows:
        if row.launcher == "dhagas" and row.step in natively:
            wall, cpu = row.ratios(natively[row.step])
            table.add_row(row.step, f"{wall:.2f}", f"{cpu:.2f}")
    console.print(table)


def check_dhagapatch() -> str | None:
    """Why dhagapatch cannot be used, None if it can."""
    done = subprocess.run(
        [sys.executable, "-c", "import dhagapatch"],
        capture_output=True,
        text=True,
        timeout=READY_SECONDS,
    )
    if done.returncode == 0:
        return None
    reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    return (
        f"{sys.executable} cannot import dhagapatch ({reason}); install it with "
        "`python -m pip install -e '.[examples]'` in the project's directory, or run the demo "
        "with --launcher threads"
    )


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line, see the module's docstring."""
    parser = argparse.ArgumentParser(description="The backup product at work.")
    library = Path(sysconfig.get_path("stdlib"))
    parser.add_argument("--tree", type=Path, default=library, help="what to back up")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=32)
    parser.add_argument("--launcher", choices=["both", *LAUNCHERS], default="both")
    return parser.parse_args(argv)


def run_launcher(options: argparse.Namespace, launcher: str, console: Console) -> list[Row]:
    """All steps under one launcher; everything they made is removed again."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="backup-demo-") as directory:
        stage = Stage(Path(directory), launcher)
        try:
            demo = Demo(stage, options.tree.resolve(), options.threads, options.clients)
            for row in demo.run():
                console.print(f"{launcher}: {row.step}: {row.seconds:.2f} s")
                rows.append(row)
        finally:
            stage.dispose()
    return rows


def main(argv: list[str] | None = None) -> int:
    """Run the demo; return its exit code."""
    options = parse_arguments(argv)
    launchers = list(LAUNCHERS) if options.launcher == "both" else [options.launcher]
    if "dhagas" in launchers:
        trouble = check_dhagapatch()
        if trouble is not None:
            print(f"demo: {trouble}", file=sys.stderr)
            return 2
    raise_descriptor_limit()
    console = Console()
    rows: list[Row] = []
    try:
        for launcher in launchers:
            rows += run_launcher(options, launcher, console)
    except (DemoFailed, ChildFailed) as error:
        print(f"demo: FAILED: {error}", file=sys.stderr)
        return 1
    finally:
        if rows:
            show(rows, console)
    console.print("nothing differed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
