"""While `fsync` waits for the disk the others run: with a library that makes it last, in each way that a wait may end."""

import os
import shutil
import subprocess
import sys
import tempfile

SLOW = """
#include <time.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
static int slow(long number, int fd)
{
    struct timespec pause = {0, atoi(getenv("SLOW_MS")) * 1000000L};
    nanosleep(&pause, NULL);
    return syscall(number, fd);
}
int fsync(int fd) { return slow(SYS_fsync, fd); }
int fdatasync(int fd) { return slow(SYS_fdatasync, fd); }
void sync(void) { slow(SYS_getpid, 0); }
"""
PROGRAM = """
import os, resource, signal, subprocess, sys, tempfile, threading, time
import dhagapatch
from dhagapatch.core.hub import get_hub
from dhagapatch.testing import Watchdog
Watchdog(15)
file = tempfile.TemporaryFile(buffering=0)
file.write(b"x")

def beats(call):
    count, over = 0, False
    def beat():
        nonlocal count
        while not over:
            time.sleep(.001)
            count += 1
    thread = threading.Thread(target=beat)
    thread.start()
    began = time.monotonic()
    try:
        return call(), count
    finally:
        over = True
        thread.join()
        global lasted
        lasted = time.monotonic() - began

def at_once(count, call):
    threads = [threading.Thread(target=call) for _ in range(count)]
    began = time.monotonic()
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    return time.monotonic() - began

def others_run():
    for call in (lambda: os.fsync(file), lambda: os.fdatasync(file.fileno()), os.sync):
        value, count = beats(call)
        assert value is None and count > 10, (value, count)
    assert at_once(20, lambda: os.fsync(file)) < 20 * .05 / 2

def alone_it_is_direct():
    os.fsync(file)
    assert dhagapatch.stats()["offload"]["threads"] == 0, dhagapatch.stats()

def errors():
    reader, writer = os.pipe()
    def failing():
        for bad in (reader, 12345, writer):
            try: os.fsync(bad)
            except OSError as error: codes.append((error.errno, str(error), error.__context__))
    codes = []
    beats(failing)
    wrong, closed = (22, "[Errno 22] Invalid argument", None), (9, "[Errno 9] Bad file descriptor", None)
    assert codes == [wrong, closed, wrong], codes

def killed_and_timed_out():
    ended = []
    def write():
        try:
            os.fsync(file)
            ended.append("written")
            time.sleep(5)
        finally:
            ended.append("ended")
    dhaga = dhagapatch.spawn(write)
    time.sleep(.01)
    dhaga.kill()
    while not dhaga.dead: time.sleep(.001)
    assert ended == ["written", "ended"], ended
    def limited():
        try:
            with dhagapatch.Timeout(.01):
                os.fsync(file)
                time.sleep(5)
        except TimeoutError: ended.append("time")
    beats(limited)
    assert ended[-1] == "time"

def handlers():
    called = []
    def handler(*_): called.append(time.monotonic())
    def failing(*_): raise LookupError
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, .01)
    beats(lambda: os.fsync(file))
    assert len(called) == 1
    signal.signal(signal.SIGALRM, failing)
    signal.setitimer(signal.ITIMER_REAL, .01)
    try: beats(lambda: os.fsync(file))
    except LookupError: pass
    else: raise AssertionError("the handler's exception is lost")
    assert lasted > .04, lasted

def forks():
    at_once(4, lambda: os.fsync(file))  # of whom three idle then
    thread = threading.Thread(target=os.fsync, args=(file,))
    thread.start()
    time.sleep(.01)
    pid = os.fork()
    if pid == 0:
        beats(lambda: os.fsync(file))
        at_once(5, lambda: os.fsync(file))
        os._exit(7)
    assert os.waitpid(pid, 0)[1] == 7 << 8
    thread.join()

def another_hub():
    done = []
    def natively():
        get_hub()
        done.append(beats(lambda: os.fsync(file))[1])
    dhagapatch.original("_thread", "start_new_thread")(natively, ())
    beats(lambda: os.fsync(file))
    while not done: time.sleep(.001)
    assert done[0] > 10, done

def no_thread():
    resource.setrlimit(resource.RLIMIT_AS, (1 << 40, resource.RLIM_INFINITY))
    at_once(70, lambda: os.fsync(file))  # more than there are threads: they queue

def unpatched():
    thread = threading.Thread(target=os.fsync, args=(file,))
    thread.start()
    time.sleep(.01)
    dhagapatch.unpatch_all()
    os.fsync(file)
    thread.join()

def exits():
    threading.Thread(target=os.fsync, args=(file,), daemon=True).start()
    time.sleep(.01)
    sys.exit(3)

globals()[sys.argv[1]]()
"""

CASES = (
    "others_run", "alone_it_is_direct", "errors", "killed_and_timed_out", "handlers", "forks", "another_hub", "no_thread",
    "unpatched",
)  # fmt: skip

compiler = shutil.which("cc") or shutil.which("gcc")
if sys.platform == "linux" and compiler:
    with tempfile.TemporaryDirectory() as folder:
        library = os.path.join(folder, "slow.so")
        subprocess.run([compiler, "-shared", "-fPIC", "-o", library, "-x", "c", "-"], input=SLOW.encode(), check=True)
        preloaded = f"{os.environ.get('LD_PRELOAD', '')} {library}".strip()  # a sanitizer must come first
        for speedups in ("1", "0"):
            for case in (*CASES, "exits"):
                done = subprocess.run(
                    [sys.executable, "-m", "dhagapatch", "-c", PROGRAM, case], capture_output=True, text=True,
                    env={**os.environ, "LD_PRELOAD": preloaded, "SLOW_MS": "50", "DHAGAPATCH_SPEEDUPS": speedups},
                )  # fmt: skip
                assert done.returncode == (3 if case == "exits" else 0), (case, speedups, done.stdout, done.stderr)
