"""How long it takes until a program runs: fresh interpreters, one after the other.

With `--launch` an operation is a whole run of a program that does nothing, from exec to exit. Without it, it is what
`--patch` says, import and patch, measured inside of the interpreter: its own start and its end are not in it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks.drivers.serving import add_program, print_sample
from benchmarks.environment import ROOT

FIRST = 1  # runs before the measured ones: they compile and read from disk
CODE = """
import time
cpu, wall = time.process_time(), time.monotonic()
{patch}
cpu, wall = time.process_time() - cpu, time.monotonic() - wall
print(__import__("json").dumps([cpu, wall]))
"""


def run(command: Sequence[str]) -> tuple[float, float, int, str]:
    """One run: CPU seconds, wall seconds, peak bytes, output; ValueError if it failed."""
    start = time.monotonic()
    child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child.stdout:
        output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - start
    child.returncode = os.waitstatus_to_exitcode(status)  # so that Popen does not wait for it again
    if child.returncode:
        raise ValueError(f"exit code {child.returncode} of {command}")
    unit = 1 if sys.platform == "darwin" else 1024
    return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * unit, output


def main(argv: Sequence[str]) -> int:
    """Run the benchmark; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="default 5")
    parser.add_argument("--launch", action="store_true", help="measure whole runs")
    parser.add_argument("--patch", default="", metavar="CODE", help="what imports and patches")
    add_program(parser)
    options = parser.parse_args(argv)
    code = CODE.format(patch=options.patch)
    command = [sys.executable, *([*options.prefix, options.program] if options.launch else ["-c", code])]
    cpu = wall = 0.0
    peak = 0
    for number in range(FIRST + options.runs):
        own_cpu, own_wall, memory, output = run(command)
        if not options.launch:
            own_cpu, own_wall = json.loads(output)
        if number >= FIRST:
            cpu, wall, peak = cpu + own_cpu, wall + own_wall, max(peak, memory)
    print_sample(options.runs, cpu, wall, peak)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
