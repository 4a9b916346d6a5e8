"""The backup client.

    client.py backup DIR [--exclude NAME]... [--limit-rate BYTES] [--threads 32]
    client.py restore --into DIR [--snapshot latest] [--threads 32]
    client.py verify [--snapshot latest] [--threads 32]
    client.py list
    client.py listen [--connections 1] [--events 0]
    client.py broadcast start|cancel|policy-changed [--detail JSON] [--expect N]

Each takes --server HOST:PORT --cafile FILE --token-file FILE, and
[--name NAME] [--retry-seconds 60] [--timeout-seconds 30] [--quiet] [--json].

Exit codes: 0 done; 1 something differed, or some files were not backed up or
restored (each is named on standard error); 2 usage; 3 wrong token or
certificate; 4 no server within --retry-seconds; 5 the store is full; 6 the
server refused or speaks another protocol version; 7 a manifest that would
write outside the destination; 130 interrupted.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import queue
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import auth
import tls
from errors import BackupError, ExitCode, UnreachableError, UsageError
from limits import raise_descriptor_limit
from listener import Listener
from manifest import FILE, display
from progress import open_progress
from restorer import Restore
from rich.filesize import decimal
from rpc import Client, Target
from snapshots import all_snapshots, choose, describe, fetch
from uploader import Backup, Options
from verifier import verify
from walker import Problem

STOP_SECONDS = 10.0
SUBSCRIBER_POLL_SECONDS = 0.1


def run_backup(options: argparse.Namespace, target: Target) -> ExitCode:
    """Back up a tree; DIFFERENT if something in it could not be read."""
    settings = Options(
        root=os.fsencode(options.directory),
        name=options.name,
        exclude=frozenset(os.fsencode(name) for name in options.exclude),
        threads=options.threads,
        rate=options.limit_rate,
    )
    with open_progress("backup", options.quiet) as progress:
        summary = Backup(target, settings, progress).run()
    report(summary.problems)
    facts = dataclasses.asdict(summary)
    facts["problems"] = [describe(problem) for problem in summary.problems]
    tell(
        options,
        facts,
        f"snapshot {summary.snapshot}: {summary.files} files, {summary.directories} "
        f"directories, {summary.links} links, {decimal(summary.bytes)}; "
        f"sent {summary.chunks_sent} chunks ({decimal(summary.bytes_sent)}), "
        f"{summary.chunks_reused} were there already; {summary.retries} retries, "
        f"{summary.seconds:.1f} s",
    )
    serious = any(problem.serious for problem in summary.problems)
    return ExitCode.DIFFERENT if serious else ExitCode.OK


def run_restore(options: argparse.Namespace, target: Target) -> ExitCode:
    """Restore a snapshot; DIFFERENT if some of it could not be restored."""
    with Client(target, options.name) as client:
        manifest = fetch(client, choose(client, options.snapshot))
    into = os.fsencode(options.into)
    with open_progress("restore", options.quiet) as progress:
        restore = Restore(target, options.name, into, options.threads, progress)
        problems = restore.run(manifest)
    report(problems)
    files = sum(entry.kind == FILE for entry in manifest.entries)
    tell(
        options,
        {
            "snapshot": manifest.snapshot,
            "files": files,
            "problems": [describe(problem) for problem in problems],
        },
        f"snapshot {manifest.snapshot} restored into {display(into)}: "
        f"{files} files, {len(problems)} problems",
    )
    return ExitCode.DIFFERENT if problems else ExitCode.OK


def run_verify(options: argparse.Namespace, target: Target) -> ExitCode:
    """Check every chunk of a snapshot; DIFFERENT if one is missing or corrupt."""
    with Client(target, options.name) as client:
        manifest = fetch(client, choose(client, options.snapshot))
    with open_progress("verify", options.quiet) as progress:
        chunks, problems = verify(target, options.name, manifest, options.threads, progress)
    report(problems)
    tell(
        options,
        {
            "snapshot": manifest.snapshot,
            "chunks": chunks,
            "problems": [describe(problem) for problem in problems],
        },
        f"snapshot {manifest.snapshot}: {chunks} chunks checked, "
        + ("all are good" if not problems else "back up again to replace the bad ones"),
    )
    return ExitCode.DIFFERENT if problems else ExitCode.OK


def run_list(options: argparse.Namespace, target: Target) -> ExitCode:
    """Show the snapshots."""
    with Client(target, options.name) as client:
        snapshots = all_snapshots(client)
    for snapshot in snapshots:
        snapshot["root"] = display(snapshot["root"])
    if options.json:
        print(json.dumps(snapshots))
        return ExitCode.OK
    from bar import print_snapshots  # see there for why it is not imported before

    print_snapshots(snapshots)
    return ExitCode.OK


def run_listen(options: argparse.Namespace, target: Target) -> ExitCode:
    """Listen until SIGTERM, SIGINT, or every connection has had --events events."""
    raise_descriptor_limit()
    # SimpleQueue.put is safe in a signal handler.
    wake: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: wake.put(received))
    listener = Listener(
        target, options.name, options.connections, options.events, lambda: wake.put(0)
    )
    listener.start()
    wake.get()
    listener.stop(STOP_SECONDS)
    if listener.failure is not None:
        raise listener.failure
    facts = {
        "connections": options.connections,
        "events": listener.events,
        "acknowledged": listener.acknowledged.value,
        "reconnects": listener.reconnects.value,
    }
    tell(
        options,
        facts,
        f"{facts['events']} events, acknowledged {facts['acknowledged']} times "
        f"over {facts['connections']} connections",
    )
    return ExitCode.OK


def run_broadcast(options: argparse.Namespace, target: Target) -> ExitCode:
    """Tell every connected client; DIFFERENT if fewer than --expect answered."""
    deadline = time.monotonic() + options.wait_seconds
    patient = dataclasses.replace(
        target, timeout_seconds=target.timeout_seconds + options.wait_seconds
    )
    with Client(patient, options.name) as client:
        while True:
            connected = client.call({"op": "stats"}).header["subscribers"]
            if connected >= options.expect:
                break
            if time.monotonic() > deadline:
                raise UnreachableError(
                    f"only {connected} of {options.expect} clients are connected after "
                    f"{options.wait_seconds:g} s: start more, or raise --wait-seconds"
                )
            time.sleep(SUBSCRIBER_POLL_SECONDS)
        request = {
            "op": "broadcast",
            "kind": options.kind,
            "detail": options.detail,
            "wait_seconds": options.wait_seconds,
        }
        started = time.monotonic()
        outcome = client.call(request, repeat=False).header
        seconds = time.monotonic() - started
    missing = outcome["missing"]
    for name in missing:
        print(f"client: no acknowledgement from {name}", file=sys.stderr)
    facts = {key: outcome[key] for key in ("event", "sent", "acknowledged", "missing")}
    tell(
        options,
        {**facts, "seconds": seconds},
        f"event {facts['event']} {options.kind}: {facts['acknowledged']} of {facts['sent']} "
        f"clients acknowledged, {seconds:.2f} s",
    )
    complete = facts["acknowledged"] == facts["sent"] >= options.expect
    return ExitCode.OK if complete else ExitCode.DIFFERENT


COMMANDS: dict[str, Callable[[argparse.Namespace, Target], ExitCode]] = {
    "backup": run_backup,
    "restore": run_restore,
    "verify": run_verify,
    "list": run_list,
    "listen": run_listen,
    "broadcast": run_broadcast,
}


def report(problems: list[Problem]) -> None:
    """Name every problem on standard error."""
    for problem in problems:
        print(f"client: {describe(problem)}", file=sys.stderr)


def tell(options: argparse.Namespace, facts: dict[str, Any], text: str) -> None:
    """Print the result: one JSON object with --json, else a sentence."""
    print(json.dumps(facts) if options.json else text, flush=True)


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line, see the module's docstring."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--server", required=True, metavar="HOST:PORT")
    common.add_argument("--cafile", type=Path, required=True, help="whom to trust, PEM")
    common.add_argument("--token-file", type=Path, required=True, help="shared secret")
    common.add_argument("--name", default=platform.node() or "client", help="this client's name")
    common.add_argument("--retry-seconds", type=float, default=60.0)
    common.add_argument("--timeout-seconds", type=float, default=30.0)
    common.add_argument("--quiet", action="store_true", help="no progress bar")
    common.add_argument("--json", action="store_true", help="print the result as JSON")
    threads = argparse.ArgumentParser(add_help=False)
    threads.add_argument("--threads", type=positive, default=32)
    snapshot = argparse.ArgumentParser(add_help=False)
    snapshot.add_argument("--snapshot", default="latest", help="a number, or latest")

    parser = argparse.ArgumentParser(description="The backup client.")
    commands = parser.add_subparsers(dest="command", required=True)
    backup = commands.add_parser("backup", parents=[common, threads])
    backup.add_argument("directory")
    backup.add_argument("--exclude", action="append", default=[], metavar="NAME")
    backup.add_argument("--limit-rate", type=float, metavar="BYTES", help="bytes per second")
    restore = commands.add_parser("restore", parents=[common, threads, snapshot])
    restore.add_argument("--into", required=True, metavar="DIR", help="a new directory")
    commands.add_parser("verify", parents=[common, threads, snapshot])
    commands.add_parser("list", parents=[common])
    listen = commands.add_parser("listen", parents=[common])
    listen.add_argument("--connections", type=positive, default=1)
    listen.add_argument("--events", type=int, default=0, help="end after so many; 0: never")
    broadcast = commands.add_parser("broadcast", parents=[common])
    broadcast.add_argument("kind", choices=["start", "cancel", "policy-changed"])
    broadcast.add_argument("--detail", type=json.loads, default=None, metavar="JSON")
    broadcast.add_argument("--expect", type=int, default=0, help="first wait for so many")
    broadcast.add_argument("--wait-seconds", type=float, default=30.0)
    return parser.parse_args(argv)


def positive(text: str) -> int:
    """An argument that is a whole number above zero."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def make_target(options: argparse.Namespace) -> Target:
    """The server to talk to; UsageError if the arguments do not make sense."""
    host, _, port = options.server.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"--server {options.server!r} is not HOST:PORT")
    return Target(
        host=host.strip("[]"),
        port=int(port),
        context=tls.client_context(options.cafile),
        token=auth.read_token(options.token_file),
        retry_seconds=options.retry_seconds,
        timeout_seconds=options.timeout_seconds,
    )


def main(argv: list[str] | None = None) -> int:
    """Run the program; return its exit code."""
    options = parse_arguments(argv)
    try:
        return COMMANDS[options.command](options, make_target(options))
    except BackupError as error:
        print(f"client: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("client: interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
