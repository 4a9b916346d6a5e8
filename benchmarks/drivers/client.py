"""A client process of `growth.py`: ``python -m benchmarks.drivers.client PORT FIRST LAST FROM TO TRIPS``.

It does what each line on its standard input says, and repeats the line when it has done so: `begin` connects the clients
FIRST to LAST, `connect` those from FROM to TO, and `exchange` makes TRIPS round trips on the connections of the latter.
Numbers are as in a `range`. At the end of the input it closes its connections and ends. A wrong echo ends it with a
traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.programs.echo import FIRST
from benchmarks.programs.echo_epoll import ROOM, Client, Clients, Loop
from benchmarks.programs.stopwatch import allow_descriptors

MESSAGE_BYTES = 100


def connect(clients: Clients, port: int, numbers: range) -> list[Client]:
    """Connect so many, and let each make its first round trips.

    In portions that fit into the server's backlog: what does not fit is lost, and tried again after a second.
    """
    place = len(clients.members)
    for start in range(0, len(numbers), ROOM):
        clients.connect(("127.0.0.1", port), numbers[start : start + ROOM], MESSAGE_BYTES)
        clients.exchange(FIRST, clients.members[place + start :])
    return clients.members[place:]


def main(argv: Sequence[str]) -> int:
    """Run the client; the exit code."""
    port, first, last, start, stop, trips = map(int, argv)
    allow_descriptors(last - first + stop - start + 100)
    clients = Clients(Loop())
    members: list[Client] = []
    for line in sys.stdin:
        match line.strip():
            case "begin":
                connect(clients, port, range(first, last))
            case "connect":
                members = connect(clients, port, range(start, stop))
            case "exchange":
                clients.exchange(trips, members)
        print(line.strip(), flush=True)
    for client in clients.members:
        client.sock.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
