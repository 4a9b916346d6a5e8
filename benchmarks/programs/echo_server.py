"""The server of `echo.py` on its own, a thread for each connection, for clients in other processes.

It prints its port and that of its status, and ends when the connection to the latter ends.
"""

from __future__ import annotations

import argparse
import socket
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # no launcher puts the checkout's folder there

from benchmarks.programs.echo import serve
from benchmarks.programs.status import Status
from benchmarks.programs.stopwatch import allow_descriptors


def accept_for_ever(listener: socket.socket) -> None:
    """A thread for each connection."""
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, lambda sock: sock), daemon=True).start()


def main() -> int:
    """Serve; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=100, help="most connections at once (default 100)")
    options = parser.parse_args()
    allow_descriptors(options.connections + 100)
    status = Status()
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        threading.Thread(target=accept_for_ever, args=(listener,), daemon=True).start()
        status.announce(listener.getsockname()[1])
        status.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
