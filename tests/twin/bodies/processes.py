"""Children through `os`: waiting in all its forms, system, popen, spawn and posix_spawn; and file locks among them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any


def child(code: int = 0, until: int | None = None) -> int:
    """A child that exits with `code`, as soon as `until`, the reading end of a pipe, is at its end."""
    pid = os.fork()
    if pid == 0:
        try:
            if until is not None:
                os.read(until, 1)
        finally:
            os._exit(code)
    return pid


def held() -> tuple[int, Callable[[], None]]:
    """A descriptor for `child(until=...)`, and how to let it go."""
    reader, writer = os.pipe()
    os.set_inheritable(writer, False)

    def release() -> None:
        os.write(writer, b"x" * 64)

    return reader, release


def status(waited: Any) -> Any:
    """What a wait said, without the numbers that change."""
    if waited is None:
        return None
    if isinstance(waited, tuple) and not hasattr(waited, "si_pid"):
        return (waited[0] > 0, *waited[1:2], *(type(part).__name__ for part in waited[2:]))
    return (waited.si_pid > 0, waited.si_status, waited.si_code, signal.Signals(waited.si_signo).name)


def case_waitpid(t: Any) -> None:
    pid = child(3)
    got, code = os.waitpid(pid, 0)
    t.note(got == pid, code, os.waitstatus_to_exitcode(code))
    reader, release = held()
    pid = child(4, reader)
    t.note(os.waitpid(pid, os.WNOHANG))
    release()
    got, code = os.waitpid(pid, 0)
    t.note(got == pid, code)
    t.outcome("twice", os.waitpid, pid, 0)
    t.outcome("twice, WNOHANG", os.waitpid, pid, os.WNOHANG)
    t.outcome("no child", os.waitpid, -1, 0)
    t.outcome("somebody else's", os.waitpid, 1, 0)
    t.outcome("bad options", os.waitpid, -1, 1 << 20)
    t.outcome("str options", os.waitpid, -1, "x")
    t.outcome("str pid", os.waitpid, "x", 0)
    t.outcome("one argument", os.waitpid, -1)
    t.outcome("keywords", os.waitpid, pid=-1, options=0)
    t.outcome("huge", os.waitpid, 1 << 70, 0)


def case_wait_in_all_forms(t: Any) -> None:
    for name, wait in (
        ("wait", lambda pid: os.wait()),
        ("wait3", lambda pid: os.wait3(0)),
        ("wait3 keyword", lambda pid: os.wait3(options=0)),
        ("wait4", lambda pid: os.wait4(pid, 0)),
        ("wait4 any", lambda pid: os.wait4(-1, 0)),
        ("wait4 keywords", lambda pid: os.wait4(pid=pid, options=0)),
        ("waitid pid", lambda pid: os.waitid(os.P_PID, pid, os.WEXITED)),
        ("waitid all", lambda pid: os.waitid(os.P_ALL, 0, os.WEXITED)),
        ("waitpid group", lambda pid: os.waitpid(0, 0)),
        ("waitid group", lambda pid: os.waitid(os.P_PGID, os.getpgid(0), os.WEXITED)),
    ):
        reader, release = held()
        pid = child(7, reader)
        threading.Timer(0.02, release).start()
        t.note(name, status(wait(pid)))
        os.close(reader)
    for name, function, args in (
        ("wait", os.wait, ()), ("wait3", os.wait3, (0,)), ("wait4", os.wait4, (-1, 0)),
        ("waitid", os.waitid, (os.P_ALL, 0, os.WEXITED)), ("wait3 WNOHANG", os.wait3, (os.WNOHANG,)),
    ):  # fmt: skip
        t.outcome(name + ", no child", function, *args)
    t.outcome("wait with an argument", os.wait, 1)
    t.outcome("wait3 without", os.wait3)
    t.outcome("wait4 without", os.wait4, 1)
    t.outcome("waitid without", os.waitid, 1)
    t.outcome("waitid, no options", os.waitid, os.P_ALL, 0, 0)
    t.outcome("waitid, str", os.waitid, "x", 0, 0)
    t.outcome("waitid, bad type", os.waitid, 99, 0, os.WEXITED)


def case_killed_and_stopped(t: Any) -> None:
    reader, _ = held()
    pid = child(0, reader)
    t.note(os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG))
    os.kill(pid, signal.SIGSTOP)
    got, code = os.waitpid(pid, os.WUNTRACED)
    t.note(got == pid, os.WIFSTOPPED(code), os.WSTOPSIG(code) == signal.SIGSTOP)
    os.kill(pid, signal.SIGCONT)
    got, code = os.waitpid(pid, os.WCONTINUED)
    t.note(got == pid, os.WIFCONTINUED(code))
    os.kill(pid, signal.SIGSTOP)
    t.note(status(os.waitid(os.P_PID, pid, os.WSTOPPED)))
    os.kill(pid, signal.SIGCONT)
    t.note(status(os.waitid(os.P_PID, pid, os.WCONTINUED | os.WEXITED)))
    os.kill(pid, signal.SIGKILL)
    t.note(status(os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)))
    t.note(status(os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)))
    got, code = os.waitpid(pid, os.WUNTRACED | os.WCONTINUED)
    t.note(got == pid, os.WIFSIGNALED(code), os.WTERMSIG(code) == signal.SIGKILL)
    os.close(reader)


def case_stopped_later(t: Any) -> None:
    reader, _ = held()
    pid = child(0, reader)
    threading.Timer(0.02, os.kill, (pid, signal.SIGSTOP)).start()
    got, code = os.waitpid(pid, os.WUNTRACED)
    t.note(got == pid, os.WIFSTOPPED(code))
    threading.Timer(0.02, os.kill, (pid, signal.SIGKILL)).start()
    got, code = os.waitpid(-1, os.WUNTRACED)
    t.note(got == pid, os.WIFSIGNALED(code))
    os.close(reader)


def case_pidfd(t: Any) -> None:
    if sys.platform != "linux":
        t.note("no pidfd")
        return
    reader, release = held()
    pid = child(9, reader)
    fd = os.pidfd_open(pid)
    threading.Timer(0.02, release).start()
    t.note(status(os.waitid(os.P_PIDFD, fd, os.WEXITED)))
    os.close(fd)
    os.close(reader)


def case_own_group(t: Any) -> None:
    reader, release = held()
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        os.read(reader, 1)
        os._exit(5)
    with contextlib.suppress(OSError):
        os.setpgid(pid, pid)
    other = child(6, reader)
    threading.Timer(0.02, release).start()
    got, code = os.waitpid(-pid, 0)
    t.note(got == pid, code)
    t.outcome("the group is empty", os.waitpid, -pid, 0)
    got, code = os.waitpid(0, 0)
    t.note(got == other, code)
    os.close(reader)


def case_waiters_in_threads(t: Any) -> None:
    """Each thread waits for a child of its own; all end in the end."""
    reader, release = held()
    pids = [child(n, reader) for n in range(1, 9)]
    codes: dict[int, int] = {}

    def wait(n: int, pid: int) -> None:
        codes[n] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    threads = [threading.Thread(target=wait, args=(n, pid)) for n, pid in enumerate(pids)]
    for thread in threads:
        thread.start()
    release()
    for thread in threads:
        thread.join()
    t.note(sorted(codes.items()))
    os.close(reader)


def case_any_child_in_threads(t: Any) -> None:
    reader, release = held()
    for n in range(4):
        child(n, reader)
    codes: list[Any] = []

    def wait() -> None:
        try:
            codes.append(os.waitstatus_to_exitcode(os.wait()[1]))
        except ChildProcessError:
            codes.append(-1)

    threads = [threading.Thread(target=wait) for _ in range(5)]
    for thread in threads:
        thread.start()
    release()
    for thread in threads:
        thread.join()
    t.note(sorted(codes))
    os.close(reader)


def case_two_wait_for_one(t: Any) -> None:
    reader, release = held()
    pid = child(3, reader)
    said: list[str] = []

    def wait() -> None:
        try:
            said.append(f"code {os.waitpid(pid, 0)[1]}")
        except ChildProcessError as error:
            said.append(str(error))

    threads = [threading.Thread(target=wait) for _ in range(2)]
    for thread in threads:
        thread.start()
    release()
    for thread in threads:
        thread.join()
    t.note(sorted(said))
    os.close(reader)


def case_sigchld_is_the_programs(t: Any) -> None:
    t.note(signal.getsignal(signal.SIGCHLD))
    seen: list[int] = []
    old = signal.signal(signal.SIGCHLD, lambda signum, frame: seen.append(signum))
    try:
        pid = child(1)
        t.note(os.waitpid(pid, 0)[1])
        os.getpid()
        t.note([signal.Signals(signum).name for signum in seen])
    finally:
        signal.signal(signal.SIGCHLD, old)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        pid = child(1)
        t.outcome("ignored children", os.waitpid, pid, 0)
    finally:
        signal.signal(signal.SIGCHLD, old)


def case_sigchld_has_come_when_the_wait_ends(t: Any) -> None:
    seen: list[int] = []
    old = signal.signal(signal.SIGCHLD, lambda signum, frame: seen.append(signum))
    missed = 0
    try:
        for number in range(200):
            seen.clear()
            pid = os.fork()
            if not pid:
                if number % 2:
                    time.sleep(0.001)
                os._exit(0)
            os.waitpid(pid, 0)
            missed += not seen
    finally:
        signal.signal(signal.SIGCHLD, old)
    t.note(missed)


def case_system(t: Any) -> None:
    t.note(os.system("exit 3"), os.system("kill -9 $$"), os.system("true"))
    t.note(os.system(command="exit 1"), os.system(b"exit 2"))
    t.outcome("nothing", os.system)
    t.outcome("int", os.system, 3)
    t.outcome("null byte", os.system, "a\0b")
    codes: dict[int, int] = {}

    def run(n: int) -> None:
        codes[n] = os.system(f"exit {n}")

    threads = [threading.Thread(target=run, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    t.note(sorted(codes.items()))


def case_popen(t: Any) -> None:
    with os.popen("echo hello; exit 3") as stream:
        t.note(stream.read(), type(stream).__name__)
    stream = os.popen("exit 3")
    t.note(stream.close())
    stream = os.popen("read line; echo got $line >&2; exit 0", "w")
    stream.write("text\n")
    t.note(stream.close())
    t.note(list(os.popen("echo 1; echo 2")))
    t.outcome("bad mode", os.popen, "true", "x")
    t.outcome("bytes", os.popen, b"true")
    t.outcome("bad buffering", os.popen, "true", buffering=0)


def case_spawn(t: Any) -> None:
    sh = "/bin/sh"
    t.note(os.spawnl(os.P_WAIT, sh, "sh", "-c", "exit 3"))
    t.note(os.spawnv(os.P_WAIT, sh, ["sh", "-c", "kill -15 $$"]))
    t.note(os.spawnle(os.P_WAIT, sh, "sh", "-c", "exit $N", {"N": "4"}))
    t.note(os.spawnve(os.P_WAIT, sh, ["sh", "-c", "exit $N"], {"N": "5"}))
    t.note(os.spawnlp(os.P_WAIT, "sh", "sh", "-c", "exit 6"))
    t.note(os.spawnvp(os.P_WAIT, "sh", ["sh", "-c", "exit 7"]))
    t.note(os.spawnlpe(os.P_WAIT, "sh", "sh", "-c", "exit $N", {"N": "8", "PATH": "/bin:/usr/bin"}))
    t.note(os.spawnvpe(os.P_WAIT, "sh", ["sh", "-c", "exit 9"], os.environ))
    pid = os.spawnl(os.P_NOWAIT, sh, "sh", "-c", "exit 2")
    t.note(status(os.waitpid(pid, 0)))
    t.note(os.spawnl(os.P_WAIT, "/nonexistent", "x"))
    t.outcome("no args", os.spawnv, os.P_WAIT, sh, [])
    t.outcome("bad args", os.spawnv, os.P_WAIT, sh, "text")
    t.outcome("no program", os.spawnl, os.P_WAIT, sh)


def case_posix_spawn(t: Any) -> None:
    reader, writer = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_CLOSE, reader)]
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "echo $X; exit 3"], {"X": "spawned"}, file_actions=actions)
    os.close(writer)
    t.note(os.read(reader, 100), status(os.waitpid(pid, 0)))
    os.close(reader)
    pid = os.posix_spawnp("true", ["true"], os.environ, setsigmask=[], setsigdef=[signal.SIGINT])
    t.note(status(os.waitpid(pid, 0)))
    t.outcome("missing", os.posix_spawn, "/nonexistent", ["x"], {})


def case_children_get_blocking_descriptors(t: Any) -> None:
    """A descriptor that the parent waits for is an ordinary, blocking one in the child."""
    reader, writer = os.pipe()
    thread = threading.Thread(target=os.read, args=(reader, 1))
    thread.start()
    program = "import os, sys; print(os.get_blocking(0), os.get_blocking(1), os.get_blocking(int(sys.argv[1])))"
    os.set_inheritable(writer, True)
    out_reader, out_writer = os.pipe()
    pid = os.posix_spawn(
        sys.executable, [sys.executable, "-c", program, str(writer)], os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, reader, 0), (os.POSIX_SPAWN_DUP2, out_writer, 1)],
    )  # fmt: skip
    os.close(out_writer)
    t.note(b"".join(iter(lambda: os.read(out_reader, 100), b"")), status(os.waitpid(pid, 0)))
    os.write(writer, b"x")
    thread.join()
    for fd in (reader, writer, out_reader):
        os.close(fd)


def case_exec(t: Any) -> None:
    for environ in ({}, {"A": "1"}):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.dup2(writer, 1)
            os.execve("/bin/sh", ["sh", "-c", "echo [$A]"], environ)
        os.close(writer)
        t.note(os.read(reader, 100), status(os.waitpid(pid, 0)))
        os.close(reader)


def case_file_locks(t: Any) -> None:
    with tempfile.NamedTemporaryFile() as file:
        one, two = open(file.name, "r+b"), open(file.name, "r+b")
        fcntl.flock(one, fcntl.LOCK_EX)
        t.outcome("not blocking", fcntl.flock, two, fcntl.LOCK_EX | fcntl.LOCK_NB)
        order: list[str] = []

        def lock() -> None:
            fcntl.flock(two, fcntl.LOCK_EX)
            order.append("second")

        thread = threading.Thread(target=lock)
        thread.start()
        thread.join(0.05)
        order.append("first")
        fcntl.flock(one, fcntl.LOCK_UN)
        thread.join()
        t.note(order)
        t.outcome("bad descriptor", fcntl.flock, 9999, fcntl.LOCK_EX)
        t.outcome("bad operation", fcntl.flock, one, 99)
        t.outcome("str", fcntl.flock, one, "x")
        t.outcome("no operation", fcntl.flock, one)
        t.outcome("not a file", fcntl.flock, "x", 1)
        t.outcome("lockf, bad command", fcntl.lockf, one, 99)
        t.outcome("lockf, read-only", fcntl.lockf, open(file.name, "rb"), fcntl.LOCK_EX)
        t.outcome("lockf", fcntl.lockf, one, fcntl.LOCK_EX, 10, 5, 0)
        t.outcome("lockf, no command", fcntl.lockf, one)
        t.outcome("fcntl", fcntl.fcntl, one, fcntl.F_GETFD)
        t.outcome("fcntl, bad", fcntl.fcntl, one, 9999)
        t.outcome("fcntl, no command", fcntl.fcntl, one)
        one.close()
        two.close()


def case_locks_between_processes(t: Any) -> None:
    lock = struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0)
    with tempfile.NamedTemporaryFile() as file:
        for name, take in (
            ("flock", lambda mine: fcntl.flock(mine, fcntl.LOCK_EX)),
            ("lockf", lambda mine: fcntl.lockf(mine, fcntl.LOCK_EX)),
            ("fcntl", lambda mine: fcntl.fcntl(mine, fcntl.F_SETLKW, lock) and None),
            ("os.lockf", lambda mine: os.lockf(mine.fileno(), os.F_LOCK, 0)),
        ):
            reader, writer = os.pipe()
            go_reader, go_writer = os.pipe()
            pid = os.fork()
            if pid == 0:
                mine = open(file.name, "r+b")
                take(mine)
                os.write(writer, b"locked")
                os.read(go_reader, 1)
                os._exit(0)
            os.read(reader, 10)
            beside: list[int] = []
            thread = threading.Thread(target=lambda beside=beside: [beside.append(n) or time.sleep(0.001) for n in range(10)])
            thread.start()
            threading.Timer(0.05, os.write, (go_writer, b"x")).start()
            with open(file.name, "r+b") as mine:
                take(mine)
                t.note(name, os.waitpid(pid, 0)[1])
            thread.join()
            t.note(beside)
            for fd in (reader, writer, go_reader, go_writer):
                os.close(fd)
