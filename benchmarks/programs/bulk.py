"""One connection, one direction: a thread sends, another receives and looks at the data. An operation is one MiB.

The sender gives whole blocks to `sendall`; the receiver takes what comes, up to a limit. The ends of every piece are
compared with what was sent at that place, which costs next to nothing and finds what is lost or moved.
"""

from __future__ import annotations

import argparse
import random
import socket
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # no launcher puts the checkout's folder there

from benchmarks.programs.stopwatch import Stopwatch, report

MIB = 1 << 20
FIRST = 2  # MiB before the measured section
ENDS = 16  # bytes that are compared at both ends of a piece


def send(address: tuple[str, int], block: bytes, count: int) -> None:
    """Connect and send the block `count` times."""
    with socket.create_connection(address) as sock:
        for _ in range(count):
            sock.sendall(block)


def receive(connection: socket.socket, limit: int, block: bytes, start: int, until: int) -> int:
    """Receive from byte `start` on until at least byte `until`, at most `limit` bytes at once; where it ended.

    ValueError for other data than sent. `block` has the sent block twice, as what is compared may lie across its end.
    """
    place = start
    size = len(block) // 2
    while place < until:
        data = connection.recv(limit)
        if not data:
            raise ValueError(f"the connection ended at byte {place} of {until}")
        head, tail = data[:ENDS], data[-ENDS:]
        begin = place % size
        place += len(data)
        if not block.startswith(head, begin) or not block.startswith(tail, (place - len(tail)) % size):
            raise ValueError(f"other bytes than were sent before byte {place}")
    return place


def main() -> int:
    """Run the benchmark; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=1024, help="MiB to send (default 1,024)")
    parser.add_argument("--block", type=int, default=MIB, help="bytes for each `sendall`, a divisor of a MiB (default 1 MiB)")
    parser.add_argument("--receive", type=int, default=65536, help="most bytes for each `recv` (default 65,536)")
    options = parser.parse_args()
    block = random.Random(1).randbytes(options.block)
    errors = []
    watch = Stopwatch()
    measured = 1
    until = (FIRST + options.mib) * MIB
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sending = (listener.getsockname(), block, (FIRST + options.mib) * MIB // options.block)
        sender = threading.Thread(target=send, args=sending, daemon=True)
        sender.start()
        connection, _ = listener.accept()
        with connection:
            try:
                start = receive(connection, options.receive, 2 * block, 0, FIRST * MIB)
                watch.start()
                end = receive(connection, options.receive, 2 * block, start, until)
                watch.stop()
                measured = max(1, round((end - start) / MIB))
                if end != until or connection.recv(1):
                    errors.append(f"more came than was sent: {end} of {until} bytes")
            except (ValueError, OSError) as error:
                errors.append(repr(error))
        if not errors:
            sender.join()
    return report(measured, watch, errors)


if __name__ == "__main__":
    sys.exit(main())
