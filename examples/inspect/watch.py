"""Run `orders.py` on micro-threads, and show what can be seen of it: what it reports by itself, a dump, and the live view.

    python examples/inspect/watch.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHON = [sys.executable, "-m", "dhagapatch"]


def show(title: str, text: str) -> None:
    """A section."""
    print(f"\n=== {title} ===\n\n{text.strip()}", flush=True)


def ask(*words: str) -> str:
    """What one of the commands prints."""
    done = subprocess.run([*PYTHON, *words], capture_output=True, text=True)
    return done.stdout + done.stderr


def main() -> int:
    """Watch it to its end; its exit code."""
    path = os.path.join(tempfile.mkdtemp(prefix="dhagapatch-"), "socket")
    options = ["--stall", "0.1", "--track-locks", f"--inspect={path}"]
    print("$ python -m dhagapatch", *options, "orders.py", flush=True)
    words = [*PYTHON, *options, str(HERE / "orders.py")]
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for _ in range(3):  # half seconds
            child.stdout.readline()
        show(f"python -m dhagapatch dump {child.pid}", ask("dump", path))
        time.sleep(1)
        show(f"python -m dhagapatch top {child.pid} --once", ask("top", path, "--once"))
        out, error = child.communicate(timeout=60)
    show("what it printed", out)
    show("what it reported by itself, on standard error", error)
    return child.returncode


if __name__ == "__main__":
    raise SystemExit(main())
