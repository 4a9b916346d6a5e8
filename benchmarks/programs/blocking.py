"""Calls in C that take long and let go of the interpreter, in threads: the disk, hashing, SQLite, and all of them at once.

An operation is what `--what` says; see the functions. Another thread sleeps and wakes all the time, as a server's does.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sqlite3
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # no launcher puts the checkout's folder there

from benchmarks.programs.stopwatch import Crowd, Stopwatch, report

BEAT_SECONDS = 0.005
HASHED = bytes(range(256)) * 32768  # 8 MiB
PACKED = bytes(range(256)) * 4096
DIGEST = hashlib.sha256(HASHED).digest()
SMALL = b"x" * 1000
HELD_SECONDS = 0.002  # a transaction
LOCKED_SECONDS = 20.0  # it is waited for so long at most

Work = Callable[[Path, int, int], bool]


def disk(folder: Path, thread: int, number: int) -> bool:
    """Write a small file and have it on the disk."""
    with (folder / f"{thread}-{number}").open("wb") as file:
        file.write(SMALL)
        file.flush()
        os.fsync(file.fileno())
    return True


def digest(folder: Path, thread: int, number: int) -> bool:
    """The SHA-256 of 8 MiB."""
    return hashlib.sha256(HASHED).digest() == DIGEST


def sqlite(folder: Path, thread: int, number: int) -> bool:
    """A transaction that writes a row, and is open for 2 ms, on a connection of its own."""
    with sqlite3.connect(folder / "rows", timeout=LOCKED_SECONDS, isolation_level=None) as connection:
        connection.execute("begin immediate")
        connection.execute("insert into rows values (?, ?)", (thread, number))
        time.sleep(HELD_SECONDS)
        connection.execute("commit")
    connection.close()
    return True


def mixed(folder: Path, thread: int, number: int) -> bool:
    """Pack 1 MiB, write it to the disk, read it again, and check it."""
    path = folder / f"{thread}-{number}"
    with path.open("wb") as file:
        file.write(zlib.compress(PACKED, 1))
        file.flush()
        os.fsync(file.fileno())
    return zlib.decompress(path.read_bytes()) == PACKED


WHAT: dict[str, Work] = {"disk": disk, "hash": digest, "sqlite": sqlite, "mixed": mixed}


def measure(work: Work, folder: Path, threads: int, count: int, watch: Stopwatch) -> list[str]:
    """Have so many threads do it so often; what was wrong."""
    crowd = Crowd(threads)
    over = threading.Event()

    def run(thread: int) -> None:
        crowd.ready.count_down()
        crowd.go.wait()
        try:
            for number in range(count):
                if not work(folder, thread, number):
                    crowd.errors.append(f"thread {thread}: wrong in round {number}")
        except Exception as error:
            crowd.errors.append(f"thread {thread}: {error!r}")
        crowd.done.count_down()

    def beat() -> None:
        while not over.wait(BEAT_SECONDS):
            pass

    beating = threading.Thread(target=beat)
    beating.start()
    try:
        crowd.measure([threading.Thread(target=run, args=(thread,)) for thread in range(threads)], watch)
    finally:
        over.set()
        beating.join()
    return crowd.errors


def main() -> int:
    """Run the benchmark; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", choices=sorted(WHAT), required=True)
    parser.add_argument("--threads", type=int, default=16, help="default 16")
    parser.add_argument("--operations", type=int, default=10, help="of each thread; default 10")
    options = parser.parse_args()
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        connection = sqlite3.connect(folder / "rows")
        connection.execute("create table rows (thread, number)")
        connection.commit()
        errors = measure(WHAT[options.what], folder, options.threads, options.operations, watch)
        rows = connection.execute("select count(*) from rows").fetchone()[0]
        connection.close()
    if options.what == "sqlite" and rows != options.threads * options.operations:
        errors.append(f"there are {rows} rows")
    return report(options.threads * options.operations, watch, errors)


if __name__ == "__main__":
    sys.exit(main())
