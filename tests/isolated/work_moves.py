"""Hashing and compression of much data: on native threads, while others run; in each way that such a call may end."""

import os
import subprocess
import sys

from dhagapatch.core.compiled import speedups
from dhagapatch.core.offload import CORES

PROGRAM = """
import hashlib, os, signal, sys, threading, time, zlib
import dhagapatch
from dhagapatch.testing import Watchdog
Watchdog(30)
DATA = bytes(64 << 20)
DIGEST = "3b6a07d0d404fab4e23b6d34bc6696a6a312dd92821332385e5af7c01c421351"

def long(): return hashlib.sha256(DATA).hexdigest()

def beats(call):
    count, over = 0, False
    def beat():
        nonlocal count
        while not over:
            time.sleep(.0005)
            count += 1
    thread = threading.Thread(target=beat)
    thread.start()
    try:
        return call(), count
    finally:
        over = True
        thread.join()

def threads(): return dhagapatch.stats()["offload"]["threads"]

def others_run():
    derive = lambda: hashlib.pbkdf2_hmac("sha256", b"", b"", 100_000).hex()
    update = lambda: hashlib.sha256().update(DATA)
    new = lambda: hashlib.new("sha256", DATA).hexdigest()
    pack = lambda: zlib.compressobj().compress(DATA)
    for call in (long, derive, update, new, pack, lambda: zlib.compress(DATA), lambda: zlib.crc32(DATA)):
        assert beats(call)[1] > 5, call
    assert beats(long)[0] == DIGEST == long()
    for file in ("dump", "stats"):
        assert getattr(dhagapatch, file)() or True

def as_many_as_cores():
    many = [threading.Thread(target=long) for _ in range(20)]
    for one in many: one.start()
    most = 0
    while any(one.is_alive() for one in many):
        time.sleep(.001)
        most = max(most, threads())
    assert 2 <= most <= CORES, most

def alone_it_is_here():
    long()
    assert threads() == 0

def little_is_here():
    beats(lambda: [hashlib.sha256(DATA[:10_000]).digest() for _ in range(100)])
    assert threads() == 0

def on_one_core_it_is_here():
    beats(long)
    assert threads() == 0

def off():
    beats(long)
    assert threads() == 0

def it_learns():
    packed = zlib.compress(bytes(20 << 20))  # 20 KB that take a hundred times as long a byte as others do
    beats(lambda: [zlib.decompress(packed) for _ in range(8)])
    assert threads() >= 1

def killed_and_timed_out():
    ended = []
    def work():
        try:
            ended.append(long() == DIGEST)
            time.sleep(5)
        finally:
            ended.append("ended")
    dhaga = dhagapatch.spawn(work)
    time.sleep(.005)
    dhaga.kill()
    while not dhaga.dead: time.sleep(.001)
    assert ended == [True, "ended"], ended
    def limited():
        try:
            with dhagapatch.Timeout(.005):
                long()
                time.sleep(5)
        except TimeoutError: return "time"
    assert beats(limited)[0] == "time"

def buffers_are_held_from_the_call_on():
    data = bytearray(DATA)
    many = [threading.Thread(target=long) for _ in range(CORES)]  # who keep all native threads
    last = threading.Thread(target=lambda: hashlib.sha256(data).digest())
    for one in (*many, last): one.start()
    time.sleep(0)
    try: data.append(0)
    except BufferError: pass
    else: raise AssertionError("it was resized")
    for one in (*many, last): one.join()
    data.append(0)

def forks():
    thread = threading.Thread(target=long)
    thread.start()
    time.sleep(.005)
    pid = os.fork()
    if pid == 0:
        os._exit(7 if beats(long)[0] == DIGEST and threads() else 1)
    assert os.waitpid(pid, 0)[1] == 7 << 8
    thread.join()

def natively():
    done = []
    dhagapatch.original("_thread", "start_new_thread")(lambda: done.append(long()), ())
    while not done: time.sleep(.001)
    assert done == [DIGEST] and threads() == 0

def no_thread():
    def none(*_): raise RuntimeError("can't start new thread")
    sys.modules["dhagapatch.core.offload"]._start = none
    assert beats(long)[0] == DIGEST and threads() == 0

def deep():
    def down(): return down()
    def all_the_way():
        try: down()
        except RecursionError: return long()
    def at(depth): return long() if depth == 0 else at(depth - 1)
    assert beats(all_the_way)[0] == DIGEST
    for depth in range(sys.getrecursionlimit() - 60, sys.getrecursionlimit()):
        try: assert beats(lambda: at(depth))[0] == DIGEST
        except RecursionError: break
    else: raise AssertionError("it was never too deep")

def unpatched():
    threading.Thread(target=long).start()
    time.sleep(.005)
    before = hashlib.sha256
    dhagapatch.unpatch_all()
    assert hashlib.sha256 is before and long() == DIGEST
    dhagapatch.patch_all()
    assert beats(long)[1] > 5

def exits():
    threading.Thread(target=long, daemon=True).start()
    time.sleep(.005)
    sys.exit(3)

def ends_with_the_last():
    threading.Thread(target=lambda: print(long() == DIGEST)).start()

class Late:
    def __del__(self, long=long, print=print): print(long() == DIGEST)

def in_the_last_moments():
    global late
    late = Late()
    late.itself = late
    threading.Thread(target=threading.Event().wait, daemon=True).start()

globals()[sys.argv[1]]()
""".replace("CORES", str(CORES))

CASES = {
    "others_run": {}, "as_many_as_cores": {}, "alone_it_is_here": {}, "little_is_here": {}, "it_learns": {},
    "killed_and_timed_out": {}, "buffers_are_held_from_the_call_on": {}, "forks": {}, "natively": {}, "no_thread": {}, "deep": {},
    "unpatched": {}, "exits": {}, "ends_with_the_last": {}, "in_the_last_moments": {}, "off": {"DHAGAPATCH_DISABLE": "blocking"},
}  # fmt: skip

if speedups is not None and CORES > 1:
    programs = [([], case, environ) for case, environ in CASES.items()]
    if sys.platform == "linux":
        programs.append((["taskset", "-c", str(min(os.sched_getaffinity(0)))], "on_one_core_it_is_here", {}))
    for before, case, environ in programs:
        done = subprocess.run(
            [*before, sys.executable, "-m", "dhagapatch", "-c", PROGRAM, case], capture_output=True, text=True,
            env={**os.environ, **environ},
        )  # fmt: skip
        assert done.returncode == (3 if case == "exits" else 0), (case, done.stdout, done.stderr)
        assert done.stdout == ("True\n" if case in ("ends_with_the_last", "in_the_last_moments") else ""), (case, done.stdout)
