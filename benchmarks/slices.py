"""What time slices cost: the CPU time of an echo server with its clients, and of threads that compute, with and without.

    python -m benchmarks.slices [pairs]

Both ways run in turn, so that what else the machine does hits both; the median of the ratios of neighbours counts.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

__all__ = ["ECHO", "HOG", "main", "ratios"]

ECHO = """\
import socket, threading
ROUNDS, CLIENTS = 2500, 8
def serve(connection):
    while data := connection.recv(4096):
        connection.sendall(data)
def client(address):
    with socket.create_connection(address) as connection:
        for _ in range(ROUNDS):
            connection.sendall(b"x" * 64)
            assert len(connection.recv(4096)) == 64
def accept(listener):
    for _ in range(CLIENTS):
        threading.Thread(target=serve, args=(listener.accept()[0],)).start()
listener = socket.create_server(("127.0.0.1", 0), backlog=CLIENTS)
threads = [threading.Thread(target=accept, args=(listener,))]
threads += [threading.Thread(target=client, args=(listener.getsockname(),)) for _ in range(CLIENTS)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
HOG = """\
import threading
def hog():
    total = 0
    for number in range(4_000_000):
        total += number * number % 7
threads = [threading.Thread(target=hog) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def seconds_of(source: str, timeslice: str) -> float:
    """The CPU time of one run, in seconds, start-up and all."""
    process = subprocess.Popen([sys.executable, "-m", "dhagapatch", "--no-children", "--timeslice", timeslice, "-c", source])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    assert status == 0
    return usage.ru_utime + usage.ru_stime


def ratios(source: str, pairs: int, timeslice: str = "0.01") -> list[float]:
    """With slices to without, of so many pairs; the order within a pair changes."""
    found = []
    for number in range(pairs):
        order = ("0", timeslice) if number % 2 else (timeslice, "0")
        used = {slices: seconds_of(source, slices) for slices in order}
        found.append(used[timeslice] / used["0"])
    return found


def main(pairs: int) -> None:
    for name, source in (("echo", ECHO), ("hog", HOG)):
        found = sorted(ratios(source, pairs))
        middle = statistics.median(found)
        print(f"{name}: {(middle - 1) * 100:+.1f} % CPU time with slices of 10 ms (median of {pairs} pairs; all between "
              f"{(found[0] - 1) * 100:+.1f} and {(found[-1] - 1) * 100:+.1f} %)")  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 21)
