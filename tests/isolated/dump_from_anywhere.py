"""A dump can be made before there is a hub, while one is stuck in C code, in a signal handler, in a forked child, at exit."""

import atexit
import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import dhagapatch
from dhagapatch import _real

assert dhagapatch.dump().hubs == [] and [one.name for one in dhagapatch.dump().threads if not one.own] == ["MainThread"]
dhagapatch.patch_all()
assert dhagapatch.dump().hubs == []
thread = threading.Thread(target=time.sleep, args=(60,), name="sleeper", daemon=True)
thread.start()
seen = []


def look(*_):
    seen.append(dhagapatch.dump())


def main_of(dump):
    return next(one for one in dump.dhagas if one.main)


# from a native thread, while the hub's thread is in a call of C code that lets go of the interpreter
_real.start_new_thread(lambda: (_real.sleep(0.1), look()), ())


def stuck():
    _real.sleep(0.3)


stuck()
dump = seen.pop()
assert main_of(dump).state == "running" and main_of(dump).stack[-1].function == "stuck", dump
assert {one.name: one.state for one in dump.dhagas}["sleeper"] == "parked"
# and while the hub waits in its poller
_real.start_new_thread(lambda: (_real.sleep(0.1), look()), ())
time.sleep(0.3)
dump = seen.pop()
assert dump.hubs[0].state == "polls" and main_of(dump).state == "parked" and main_of(dump).waits_for.left < 0.25, dump

# in a signal handler, in the main dhaga's wait and in a stretch of Python
signal.signal(signal.SIGUSR1, look)
os.kill(os.getpid(), signal.SIGUSR1)
dump = seen.pop()
assert main_of(dump).state == "running" and main_of(dump).stack[-1].function == "look", dump
_real.start_new_thread(lambda: (_real.sleep(0.1), os.kill(os.getpid(), signal.SIGUSR1)), ())
time.sleep(0.3)
assert main_of(seen.pop()).stack[-1].function == "look"

# the hub of another native thread
ready, done = _real.allocate_lock(), _real.allocate_lock()
ready.acquire()
done.acquire()


def second():
    dhagapatch.get_hub()
    threading.Thread(target=time.sleep, args=(60,), name="of the second", daemon=True).start()
    ready.release()
    done.acquire()


_real.start_new_thread(second, ())
ready.acquire()
dump = dhagapatch.dump()
assert len(dump.hubs) == 2 and "of the second" in str(dump)
done.release()
time.sleep(0.1)

# a forked child has none of the parent's dhagas
reader, writer = os.pipe()
warnings.simplefilter("ignore", DeprecationWarning)  # a native thread is there, which natively too makes a fork doubtful
child = os.fork()
if not child:
    first = dhagapatch.dump()
    time.sleep(0.01)
    then = dhagapatch.dump()
    told = f"{len(first.hubs)} {[one.name for one in then.dhagas]} {then.pid == os.getpid()}"
    os.write(writer, told.encode())
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert os.read(reader, 100) == b"0 ['MainThread'] True"

# at exit, also in the last moments
program = """
import atexit, threading, time, dhagapatch
dhagapatch.patch_all()
threading.Thread(target=time.sleep, args=(9,), daemon=True, name='daemon').start()
time.sleep(0)
dump = dhagapatch.dump
def look(): print('atexit', 'dhaga daemon' in str(dump()))
atexit.register(look)
class Late:
    def __del__(self, dump=dump, print=print, str=str):
        print('late', 'process' in str(dump()))
late = Late()
"""
out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=15)
assert out.stdout.startswith("atexit True\n") and not out.stderr, out
assert "late True" in out.stdout, out

# no hub at all, and a thread that Python did not start
raw = _real.allocate_lock()
raw.acquire()
_real.start_new_thread(raw.acquire, ())
atexit.register(raw.release)
assert dhagapatch.dump().threads is not None
