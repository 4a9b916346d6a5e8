# run: -m dhagapatch
"""What waits on a native thread and is given up, by a kill, a Timeout, a fork or the program's end, does not happen later."""

import errno
import fcntl
import os
import struct
import subprocess
import sys
import tempfile
import threading
import time

import dhagapatch
from dhagapatch import inspect
from dhagapatch.core.offload import offload_wait

HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "r+")
fcntl.flock(file, fcntl.LOCK_EX)
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.readline()
"""
TRY = """
import fcntl, sys
file = open(sys.argv[1], "r+")
fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
"""
WHOLE = struct.pack("@hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
folder = tempfile.mkdtemp()
path, fifo = f"{folder}/file", f"{folder}/fifo"
file = open(path, "w+")  # noqa: SIM115
os.mkfifo(fifo)


def hold():
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    return holder


def release(holder):
    holder.communicate("go on\n")


def is_free():
    """Whether another process can have the locks."""
    return subprocess.run([sys.executable, "-c", TRY, path], stderr=subprocess.DEVNULL).returncode == 0


def other_end(flags):
    try:
        os.close(os.open(fifo, flags | os.O_NONBLOCK))
    except OSError as error:
        assert error.errno == errno.ENXIO
        return False
    return True


def under_way():
    return inspect.stats()["offload"]["calls"]


def wait_until(condition):
    while not condition():
        time.sleep(0.001)


LOCKS = {
    "flock": lambda: fcntl.flock(file, fcntl.LOCK_EX),
    "lockf": lambda: fcntl.lockf(file, fcntl.LOCK_EX),
    "os.lockf": lambda: os.lockf(file.fileno(), os.F_LOCK, 0),
    "F_SETLKW": lambda: fcntl.fcntl(file, fcntl.F_SETLKW, WHOLE),
    "F_OFD_SETLKW": lambda: fcntl.fcntl(file, fcntl.F_OFD_SETLKW, WHOLE),
}
OTHERS = {
    "os.open": lambda: os.open(fifo, os.O_RDONLY),
    "os.open to write": lambda: os.open(fifo, os.O_WRONLY),
    "open": lambda: open(fifo),  # noqa: SIM115
    "wait": os.wait,
    "waitid": lambda: os.waitid(os.P_ALL, 0, os.WEXITED),
    "stopped": lambda: os.waitpid(-1, os.WUNTRACED),
}


def killed(call):
    """In a dhaga that is killed when it waits; what it got."""
    got = []
    dhaga = dhagapatch.spawn(lambda: got.append(call()))
    wait_until(under_way)
    dhaga.kill()
    wait_until(lambda: dhaga.dead)
    return got


def ended_by_timeout(call):
    try:
        with dhagapatch.Timeout(0.02):
            return [call()]
    except TimeoutError:
        return []


def threads():
    return len(os.listdir("/proc/self/task"))


# a kill, a Timeout: nothing is left, no thread either
holder = hold()
at_first = threads()
for _ in range(5):
    for way in (killed, ended_by_timeout):
        for name, call in {**LOCKS, **OTHERS}.items():
            assert way(call) == [], (way, name)
            assert under_way() == 0, name
            assert not other_end(os.O_WRONLY), name
assert threads() < at_first + 5, (at_first, threads())
assert holder.poll() is None

# a fork while they wait: the child has none of the waits, and can wait itself
got = []
waiting = [threading.Thread(target=lambda call=call: (call(), got.append(1))) for call in LOCKS.values()]
for thread in waiting[:1]:
    thread.start()
wait_until(under_way)
pid = os.fork()
if not pid:
    try:
        assert under_way() == 0
        assert [ended_by_timeout(call) for call in (*LOCKS.values(), OTHERS["os.open"])] == [[]] * 6
        assert killed(LOCKS["flock"]) == []
        time.sleep(0.001)
        os._exit(7)
    finally:
        os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
assert not got
release(holder)
waiting[0].join()
assert got and not is_free()  # the parent's wait has come to its end
fcntl.flock(file, fcntl.LOCK_UN)
assert is_free()

# the program ends while they wait: at once, if they are daemons, else when they have come to their end
EXIT = """
import fcntl, os, sys, threading, time
from dhagapatch import inspect
file = open(sys.argv[1], "r+")
calls = [
    lambda: fcntl.flock(file, fcntl.LOCK_EX), lambda: fcntl.lockf(file, fcntl.LOCK_EX), lambda: os.open(sys.argv[2], os.O_RDONLY),
    lambda: os.system("exec sleep 60 >&- 2>&-"),
]
for call in calls:
    threading.Thread(target=call, daemon=True).start()
while inspect.stats()["offload"]["calls"] < 4:
    time.sleep(.001)
print("over")
"""
holder = hold()
done = subprocess.run([sys.executable, "-m", "dhagapatch", "-c", EXIT, path, fifo], capture_output=True, text=True, timeout=15)
assert (done.returncode, done.stdout, done.stderr) == (0, "over\n", ""), done
assert not other_end(os.O_WRONLY)
EXIT = EXIT.replace("True", "False").replace("calls:", "calls[:1]:").replace("< 4", "< 1")
joined = subprocess.Popen(
    [sys.executable, "-m", "dhagapatch", "-c", EXIT, path, fifo], stdout=subprocess.PIPE, text=True
)
assert joined.stdout.readline() == "over\n"
assert joined.poll() is None
release(holder)
assert joined.wait() == 0
assert is_free()

# `os.system`: who is killed leaves; the child goes on, and is waited for all the same
mark = f"{folder}/mark"
dhaga = dhagapatch.spawn(os.system, f"while [ ! -e {mark} ]; do sleep 0.01; done")
wait_until(under_way)
dhaga.kill()
wait_until(lambda: dhaga.dead)
with open(mark, "w"):
    pass
while True:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        break
    time.sleep(0.001)

# what comes too late is given back: a lock is unlocked, a descriptor closed
from dhagapatch.core.endable import Ending
from dhagapatch.core.offload import offload_endable

for ends in (True, False):
    go, given_back = dhagapatch._real.allocate_lock(), []
    go.acquire()

    def late(go=go):
        go.acquire()
        return "late"

    ending = Ending("late", late, (lambda ident, go=go: go.locked() and go.release()) if ends else None, given_back.append)
    assert ended_by_timeout(lambda ending=ending: offload_endable(ending)) == []
    if not ends:
        assert not given_back
        go.release()
    wait_until(lambda given_back=given_back: given_back)
    assert given_back == ["late"]

# and one that had not begun never does
begun = []
never = Ending("never", lambda: begun.append(1), None)
never.leave()
try:
    never.run()
except InterruptedError:
    pass
else:
    raise AssertionError
assert not begun

# exceptions that end a program reach who called
for kind in (SystemExit, KeyboardInterrupt, GeneratorExit):
    for offload in (dhagapatch.offload, offload_wait):

        def fail(kind=kind):
            raise kind(5)

        try:
            offload(fail)
        except kind as error:
            assert error.args == (5,) and error.__context__ is None
        else:
            raise AssertionError(kind)
