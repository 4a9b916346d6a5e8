"""The server of `echo.py` on its own, a thread for each connection, for clients in other processes.

It prints its port and that of its status, and ends when the connection to the latter ends.
"""

from __future__ import annotations

import socket
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # no launcher puts the checkout's folder there

from benchmarks.programs.echo import serve
from benchmarks.programs.status import serve_until_told


def accept_for_ever(listener: socket.socket) -> None:
    """A thread for each connection."""
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, lambda sock: sock), daemon=True).start()


if __name__ == "__main__":
    sys.exit(serve_until_told(accept_for_ever, __doc__))
