"""A web server under `wrk`, an HTTP load generator written in C. An operation is one GET; all costs are the server's."""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks.drivers.serving import Server, add_program, print_sample

FIRST_SECONDS = 0.2  # before the measured section
SETTLE_SECONDS = 0.2  # for the server to see that the first clients have gone


def fetch(server: Server, connections: int, seconds: float) -> tuple[int, str]:
    """Let wrk fetch for some time; the number of answers, and what went wrong, or "". ValueError if it does not run."""
    url = f"http://{server.address[0]}:{server.address[1]}/"
    # wrk takes whole seconds; its end is a signal, as that lets it print its report, too
    wrk = subprocess.Popen(
        ["wrk", "-t1", f"-c{connections}", "-d600s", url], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        time.sleep(seconds)
        wrk.send_signal(signal.SIGINT)
        output = wrk.communicate(timeout=30)[0]
    finally:
        if wrk.poll() is None:
            wrk.kill()
            wrk.wait()
    count = re.search(r"(\d+) requests in", output)
    if count is None:
        raise ValueError(f"no report from wrk: {output!r}")
    wrong = re.findall(r"(Socket errors: .*|Non-2xx.*)", output)
    return int(count[1]), "; ".join(wrong)


def main(argv: Sequence[str]) -> int:
    """Run the benchmark; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=100, help="default 100")
    parser.add_argument("--seconds", type=float, default=1.0, help="default 1")
    add_program(parser)
    options = parser.parse_args(argv)
    with Server(options.prefix, options.program) as server:
        fetch(server, options.connections, FIRST_SECONDS)
        time.sleep(SETTLE_SECONDS)
        before, start = server.costs(), time.monotonic()
        gets, wrong = fetch(server, options.connections, options.seconds)
        after, end = server.costs(), time.monotonic()
    if wrong:
        print(wrong, file=sys.stderr)
    print_sample(gets, after.cpu_seconds - before.cpu_seconds, end - start, after.peak_rss_bytes, correct=not wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
