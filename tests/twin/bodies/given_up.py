"""Calls that are given up while they wait, by a handler that raises: they do not happen later."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

_HOLDER = """
import fcntl, os, sys
file = open(sys.argv[1], "r+")
fcntl.flock(file, fcntl.LOCK_EX)
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.readline()
fcntl.flock(file, fcntl.LOCK_UN)
fcntl.lockf(file, fcntl.LOCK_UN)
print("released", flush=True)
sys.stdin.readline()
file.close()
file = os.open(sys.argv[1], os.O_RDWR)
for call in (fcntl.flock, fcntl.lockf):
    try:
        call(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        print(call.__name__, "free")
    except OSError as error:
        print(call.__name__, error)
    call(file, fcntl.LOCK_UN)
"""


class GivenUp(Exception):
    """What the handler raises."""


def give_up(t: Any, label: str, call: Callable[..., Any], *args: Any) -> None:
    """Call; while it waits a handler raises."""

    def handle(*_: object) -> None:
        raise GivenUp

    before = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.03)
        t.outcome(label, call, *args)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _locks(file: Any) -> dict[str, Callable[[], Any]]:
    whole = struct.pack("@hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    part = struct.pack("@hhqqi", fcntl.F_RDLCK, os.SEEK_SET, 2, 3, 0)
    return {
        "flock": lambda: fcntl.flock(file, fcntl.LOCK_EX),
        "flock, shared": lambda: fcntl.flock(file.fileno(), fcntl.LOCK_SH),
        "lockf": lambda: fcntl.lockf(file, fcntl.LOCK_EX),
        "lockf, shared": lambda: fcntl.lockf(file, fcntl.LOCK_SH, 3, 4, os.SEEK_SET),
        "os.lockf": lambda: os.lockf(file.fileno(), os.F_LOCK, 5),
        "F_SETLKW": lambda: fcntl.fcntl(file, fcntl.F_SETLKW, whole),
        "F_SETLKW, a part": lambda: fcntl.fcntl(file, fcntl.F_SETLKW, part) == part,
        "F_OFD_SETLKW": lambda: fcntl.fcntl(file, fcntl.F_OFD_SETLKW, whole),
    }


def _hold(path: str) -> subprocess.Popen[str]:
    """A process that has all locks of a file."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    return holder


def _say(holder: subprocess.Popen[str]) -> str:
    assert holder.stdin is not None and holder.stdout is not None
    holder.stdin.write("go on\n")
    return holder.stdout.readline()


def case_locks(t: Any) -> None:
    with tempfile.NamedTemporaryFile("r+") as file:
        holder = _hold(file.name)
        for label, call in _locks(file).items():
            give_up(t, label, call)
        t.note(_say(holder))
        assert holder.stdin is not None
        holder.stdin.write("go on\n")
        out, _ = holder.communicate()
        t.note(out)


def case_locks_that_come_free(t: Any) -> None:
    """A handler that does not raise ends nothing; and whoever waits has the lock as soon as it is there."""
    came: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda signum, frame: came.append(signum))
    with tempfile.NamedTemporaryFile("r+") as file:
        for label, call in _locks(file).items():
            if label == "os.lockf":
                continue  # natively it fails with EINTR after any handler
            holder = _hold(file.name)
            got: list[str] = []

            def release(holder: subprocess.Popen[str] = holder, got: list[str] = got) -> None:
                time.sleep(0.05)
                got.append(_say(holder))

            thread = threading.Thread(target=release)
            thread.start()
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            t.outcome(label, call)
            thread.join()
            assert holder.stdin is not None
            holder.stdin.write("go on\n")
            t.note(len(came), got, holder.communicate()[0])
            fcntl.flock(file, fcntl.LOCK_UN)
            fcntl.lockf(file, fcntl.LOCK_UN)
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("@hhqqi", fcntl.F_UNLCK, 0, 0, 0, 0))
    signal.signal(signal.SIGALRM, before)


def case_locks_of_a_ring(t: Any) -> None:
    """Two processes that wait for each other: the kernel tells one."""
    source = """
import fcntl, sys
file = open(sys.argv[1], "r+")
fcntl.lockf(file, fcntl.LOCK_EX, 1, 1)
print("held", flush=True)
sys.stdin.readline()
try:
    fcntl.lockf(file, fcntl.LOCK_EX, 1, 0)
    print("got")
except OSError as error:
    print(error)
"""
    with tempfile.NamedTemporaryFile("r+") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 1, 0)
        other = subprocess.Popen(
            [sys.executable, "-c", source, file.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert other.stdin is not None and other.stdout is not None
        t.note(other.stdout.readline())
        other.stdin.write("go on\n")
        # one of the two is refused; which, depends on who was first
        try:
            fcntl.lockf(file, fcntl.LOCK_EX, 1, 1)
            refused = 0
        except OSError as error:
            refused = 1
            assert error.errno == errno.EDEADLK
        fcntl.lockf(file, fcntl.LOCK_UN)
        out, _ = other.communicate()
        refused += "deadlock" in out
        t.note(refused)


def _other_end(path: str, flags: int) -> str:
    """Whether somebody has the FIFO open."""
    try:
        os.close(os.open(path, flags | os.O_NONBLOCK))
    except OSError as error:
        return errno.errorcode[error.errno]
    return "there"


def _open_both(t: Any, path: str, directory: int, reads: bool) -> None:
    fds: list[int] = []
    flags = (os.O_RDONLY, os.O_WRONLY) if reads else (os.O_WRONLY, os.O_RDONLY)
    opening = threading.Thread(target=lambda: fds.append(os.open("fifo", flags[0], dir_fd=directory)))
    opening.start()
    time.sleep(0.01)
    fds.append(os.open(path, flags[1]))
    opening.join()
    t.note([(os.get_inheritable(fd), os.get_blocking(fd)) for fd in fds])
    for fd in fds:
        os.close(fd)


def case_fifos(t: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/fifo"
        os.mkfifo(path)
        directory = os.open(folder, os.O_RDONLY)
        for label, call in {
            "os.open": lambda: os.open(path, os.O_RDONLY),
            "os.open, bytes": lambda: os.open(os.fsencode(path), os.O_RDONLY),
            "os.open, dir_fd": lambda: os.open("fifo", os.O_RDONLY, dir_fd=directory),
            "os.open to write": lambda: os.open(path, os.O_WRONLY),
            "open": lambda: open(path),
            "open to write": lambda: open(path, "w"),
            "open to append": lambda: open(path, "ab", 0),
        }.items():
            before = set(os.listdir("/proc/self/fd"))
            give_up(t, label, call)
            t.note(_other_end(path, os.O_WRONLY))
            left = set(os.listdir("/proc/self/fd")) - before
            t.note([fd for fd in left if int(fd) < 900])
        reader = threading.Thread(target=lambda: t.note(open(path).read()))
        reader.start()
        with open(path, "w") as file:  # it is as good as ever
            file.write("said")
        reader.join()
        for reads in (True, False):
            _open_both(t, path, directory, reads)
        os.close(directory)


def case_children(t: Any) -> None:
    reader, writer = os.pipe()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=reader)
    give_up(t, "wait", os.wait)
    give_up(t, "waitpid", os.waitpid, -1, 0)
    give_up(t, "waitpid, stopped", os.waitpid, child.pid, os.WUNTRACED)
    give_up(t, "waitpid, exactly", os.waitpid, child.pid, 0)
    give_up(t, "wait4", os.wait4, child.pid, 0)
    give_up(t, "waitid", os.waitid, os.P_ALL, 0, os.WEXITED)
    for _ in range(16):
        give_up(t, "waitid, of a group", os.waitid, os.P_PGID, os.getpgid(0), os.WEXITED)
    # twenty of these calls are made by native threads, and none has kept one; how many work at once depends on the load
    t.note("threads", len(os.listdir("/proc/self/task")) < 14)
    os.write(writer, b"\n")
    pid, status = os.wait()
    t.note(pid == child.pid, status)
    child.returncode = 0
    t.outcome("nobody is left", os.wait)
    os.close(reader)
    os.close(writer)


def case_system(t: Any) -> None:
    """Handlers are called when the child has ended, and not before."""
    with tempfile.TemporaryDirectory() as folder:
        mark = folder + "/mark"
        seen: list[Any] = []

        def handle(signum: int, frame: object) -> None:
            seen.append((signum == signal.SIGALRM, os.path.exists(mark)))

        before = signal.signal(signal.SIGALRM, handle)
        t.outcome("system", os.system, f"kill -ALRM $PPID; sleep 0.05; touch {mark}; exit 3")
        t.note(seen)
        os.unlink(mark)

        def fail(signum: int, frame: object) -> None:
            handle(signum, frame)
            raise GivenUp

        signal.signal(signal.SIGALRM, fail)
        t.outcome("system", os.system, f"kill -ALRM $PPID; sleep 0.05; touch {mark}; exit 3")
        t.note(seen)
        t.outcome("Ctrl-C is the child's", os.system, "kill -INT $PPID; sleep 0.05; exit 4")
        signal.signal(signal.SIGALRM, before)
        t.outcome("again", os.system, "exit 5")


def case_many_in_a_row(t: Any) -> None:
    """Calls that are given up leave no thread behind, nor what they would have got."""
    with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile("r+") as file:
        path = folder + "/fifo"
        os.mkfifo(path)
        holder = _hold(file.name)
        wrong = 0

        def handle(*_: object) -> None:
            raise GivenUp

        before = signal.signal(signal.SIGALRM, handle)
        for n in range(100):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0005 + n % 7 * 0.0003)
                if n % 2:
                    fcntl.flock(file, fcntl.LOCK_EX)
                else:
                    os.open(path, os.O_RDONLY)
                wrong += 1
            except GivenUp:
                pass
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        t.note(wrong, _other_end(path, os.O_WRONLY), threading.active_count(), len(os.listdir("/proc/self/task")) < 20)
        t.note(_say(holder))
        assert holder.stdin is not None
        holder.stdin.write("go on\n")
        t.note(holder.communicate()[0])
