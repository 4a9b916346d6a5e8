"""The traffic of `echo.py`, rewritten for asyncio streams: what a program costs that gives up threads for coroutines.

Server and clients share one loop; with `--loop uvloop` it is uvloop's. An operation is one round trip.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from asyncio import StreamReader, StreamWriter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `python prog.py` does not put the checkout's folder there

from benchmarks.programs.echo import BUFFER_BYTES, FIRST, MESSAGES, arguments, make_messages
from benchmarks.programs.stopwatch import Stopwatch, allow_descriptors, report


async def serve(reader: StreamReader, writer: StreamWriter) -> None:
    """Echo until the client closes."""
    while data := await reader.read(BUFFER_BYTES):
        writer.write(data)
        await writer.drain()
    writer.close()


async def exchange(reader: StreamReader, writer: StreamWriter, messages: list[bytes], trips: int) -> None:
    """Make `trips` round trips; ValueError when an echo is not what was sent."""
    for trip in range(trips):
        message = messages[trip % MESSAGES]
        writer.write(message)
        await writer.drain()
        echo = await reader.read(BUFFER_BYTES)
        while len(echo) < len(message):
            more = await reader.read(BUFFER_BYTES)
            if not more:
                raise ValueError(f"the connection ended at round trip {trip}")
            echo += more
        if echo != message:
            raise ValueError(f"bad echo at round trip {trip}: {echo[:40]!r} for {message[:40]!r}")


async def measure(connections: int, trips: int, size: int, watch: Stopwatch) -> None:
    """Connect everybody, then measure the exchange."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=connections + 16)
    port = server.sockets[0].getsockname()[1]
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(connections)]
    clients = [(*stream, make_messages(number, size)) for number, stream in enumerate(streams)]
    await asyncio.gather(*(exchange(*client, FIRST) for client in clients))
    watch.start()
    await asyncio.gather(*(exchange(*client, trips) for client in clients))
    watch.stop()
    for _, writer in streams:
        writer.close()
    for _, writer in streams:
        await writer.wait_closed()
    server.close()
    await server.wait_closed()


def main() -> int:
    """Run the benchmark; the exit code."""
    parser = arguments(__doc__)
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio", help="whose event loop (default asyncio)")
    options = parser.parse_args()
    allow_descriptors(2 * options.connections + 100)
    watch = Stopwatch()
    errors = []
    # by name, so that the program runs where uvloop is not installed
    with asyncio.Runner(loop_factory=importlib.import_module(options.loop).new_event_loop) as runner:
        try:
            runner.run(measure(options.connections, options.trips, options.size, watch))
        except (ValueError, OSError) as error:
            errors.append(repr(error))
    return report(options.connections * options.trips, watch, errors)


if __name__ == "__main__":
    sys.exit(main())
