"""Break the package on purpose, in one place at a time: do the tests notice?

    python tests/deliberate_faults.py [NAME...]      try these faults, or all (parts of names will do)
    python tests/deliberate_faults.py --table        the list of faults, as it stands in tests/README.md

The faults stand in tests/faults/*.toml: what is to be replaced by what in which file, which tests must notice it, and what it
breaks.  The checkout is never touched: the tree is copied, and each fault is put into the copy and taken out again.  After a
fault in C the compiled part is built anew.

A fault is noticed if its tests fail, or last too long.  That means something only if they pass without it, so each selection of
tests is first tried on the copy as it is.  Exit code 1: fewer than `ENOUGH` of the faults were noticed.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
ENOUGH = 0.95  # of the faults
LIMIT = 150.0 * float(os.environ.get("TEST_PATIENCE", "1"))  # seconds for the tests of one fault
COPIED = ("dhagapatch", "tests", "examples", "benchmarks", "compat", "docs", "pyproject.toml", "setup.cfg", "setup.py")
OVER = (" failed", " error", "no tests ran", "FAILED ", "ERROR ")  # by these a line of pytest's summary tells


class Fault(NamedTuple):
    """One place that is broken."""

    name: str
    file: str  # from the root of the checkout
    old: str
    new: str
    tests: str  # for pytest; parts that are separated by " + " are runs of their own
    breaks: str  # what a program would see
    since: str = "3.11"  # the Python from which on this code is used as it matters

    @property
    def is_compiled(self) -> bool:
        return "/_c/" in self.file

    @property
    def counts(self) -> bool:
        return sys.version_info >= tuple(map(int, self.since.split(".")))

    def runs(self) -> list[str]:
        return self.tests.split(" + ")

    def broken(self, source: str) -> str:
        """The source with this fault; ValueError if its place is not there, or not the only one."""
        count = source.count(self.old)
        if count != 1:
            raise ValueError(f"{self.name}: its text is found {count} times in {self.file}, and must be found once")
        return source.replace(self.old, self.new)


def load() -> list[Fault]:
    """All faults, by module."""
    faults = []
    for path in sorted((Path(__file__).parent / "faults").glob("*.toml")):
        faults += [Fault(**fields) for fields in tomllib.loads(path.read_text())["fault"]]
    return faults


def table(faults: Iterable[Fault]) -> str:
    """The faults, for reading."""
    lines = ["| fault | in | what it breaks | noticed by |", "|---|---|---|---|"]
    for one in faults:
        tests = one.tests.replace("|", "\\|")
        lines.append(f"| {one.name} | {one.file.removeprefix('dhagapatch/')} | {one.breaks} | `{tests}` |")
    return "\n".join(lines)


class Copy:
    """A copy of the tree, in which tests are run."""

    def __init__(self, folder: str) -> None:
        self.root = Path(folder)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, self.root / name, ignore=shutil.ignore_patterns("__pycache__", "deliberate_faults.*"))
            elif source.exists():
                shutil.copy2(source, self.root / name)
        self._environ = {**os.environ, "PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1"}
        where = self._python("-c", "import dhagapatch; print(dhagapatch.__file__)").stdout.strip()
        if not where.startswith(str(self.root)):
            raise SystemExit(f"the tests would run with {where}, and not with the copy")

    def _python(self, *arguments: str, where: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=where or self.root, env=self._environ, capture_output=True, text=True)

    def build(self) -> None:
        """Make the compiled part."""
        # without pyproject.toml, which a setuptools that is older than it asks for refuses
        beside = self.root / "build"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        shutil.copy2(self.root / "setup.py", beside)
        (beside / "dhagapatch").symlink_to(self.root / "dhagapatch")
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        made = self.root / "dhagapatch" / f"_speedups{suffix}"
        made.unlink(missing_ok=True)
        done = self._python("setup.py", "-q", "build_ext", "--inplace", where=beside)
        if not made.exists():
            raise SystemExit(f"the compiled part can't be built\n{done.stderr[-4000:]}")

    @contextmanager
    def broken(self, fault: Fault) -> Iterator[None]:
        """The copy with this fault."""
        path = self.root / fault.file
        source = path.read_text()
        path.write_text(fault.broken(source))
        kept = {one: one.read_bytes() for one in self.root.glob("dhagapatch/*.so")} if fault.is_compiled else {}
        try:
            if fault.is_compiled:
                self.build()
            yield
        finally:
            path.write_text(source)
            for one, data in kept.items():
                one.write_bytes(data)

    def fails(self, tests: str) -> str | None:
        """What says that these tests fail; None: they pass."""
        command = [sys.executable, "-m", "pytest", "-q", "-x", "--no-header", "--tb=no", *shlex.split(tests)]
        with tempfile.TemporaryFile("w+") as output:
            # a session of its own: what hangs is ended with all that it has started
            process = subprocess.Popen(
                command, cwd=self.root, env=self._environ, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
            until = time.monotonic() + LIMIT
            try:
                while process.poll() is None:
                    if time.monotonic() > until:
                        return f"no end within {LIMIT:.0f} s"
                    if said := _failure(output):
                        return said
                    time.sleep(0.1)
                return None if process.returncode == 0 else _failure(output) or f"exit code {process.returncode}"
            finally:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                process.wait()


def _failure(output: IO[str]) -> str:
    """The line of pytest's summary that tells of a failure, if it has come to that: what it still waits for need not be."""
    descriptor = output.fileno()
    text = os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode(errors="replace")
    return next((line for line in reversed(text.splitlines()) if any(word in line for word in OVER)), "")


def _chosen(names: list[str]) -> list[Fault]:
    faults = [fault for fault in load() if fault.counts]
    if not names:
        return faults
    known = {one.name for one in faults}
    # in the order that was asked for; the whole of a name, or a part of it
    chosen = [one for name in names for one in faults if (name == one.name if name in known else name in one.name)]
    if not chosen:
        raise SystemExit(f"there is no such fault; there are {', '.join(one.name for one in faults)}")
    return chosen


def _try(copy: Copy, fault: Fault) -> str | None:
    with copy.broken(fault):
        return next((said for run in fault.runs() if (said := copy.fails(run)) is not None), None)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--table", action="store_true", help="print the list, and try nothing")
    parser.add_argument("--trust", action="store_true", help="do not first try the tests without a fault")
    options = parser.parse_args()
    if options.table:
        print(table(load()))
        return 0
    faults = _chosen(options.names)
    for fault in faults:
        fault.broken((ROOT / fault.file).read_text())  # all of them, before anything takes time
    unnoticed = []
    with tempfile.TemporaryDirectory(prefix="dhagapatch-faults-") as folder:
        copy = Copy(folder)
        copy.build()
        runs = {} if options.trust else dict.fromkeys(run for fault in faults for run in fault.runs())
        wrong = {run: said for run in runs if (said := copy.fails(run)) is not None}
        if wrong:
            print("without a fault these fail:", *(f"  {run}: {said}" for run, said in wrong.items()), sep="\n")
            return 2
        for fault in faults:
            begun = time.monotonic()
            said = _try(copy, fault)
            took = time.monotonic() - begun
            print(f"{'unnoticed' if said is None else 'noticed':9} {fault.name} ({took:.0f} s) {said or ''}", flush=True)
            if said is None:
                unnoticed.append(fault)
    print(f"{len(faults) - len(unnoticed)} of {len(faults)} noticed")
    for fault in unnoticed:
        print(f"  {fault.name}: {fault.breaks} ({fault.file}; {fault.tests})")
    return 0 if len(unnoticed) <= len(faults) * (1 - ENOUGH) else 1


if __name__ == "__main__":
    sys.exit(main())
