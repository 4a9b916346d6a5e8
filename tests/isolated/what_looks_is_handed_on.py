"""Children that start patched have stalls, tracked locks and a socket too; a later call leaves what is on; at exit all ends."""

import os
import signal
import subprocess
import sys
import tempfile

runtime = tempfile.mkdtemp()
ENVIRON = {**os.environ, "XDG_RUNTIME_DIR": runtime}
SHOW = """
import os, threading, time, dhagapatch
time.sleep(0.001)
from dhagapatch.inspect.control import _now
found = os.path.exists(os.path.join(os.environ["XDG_RUNTIME_DIR"], "dhagapatch", f"{os.getpid()}.sock"))
print(sorted(_now.items()), found, hasattr(threading.Lock(), "_made"), flush=True)
"""
PARENT = f"""
import subprocess, sys
{SHOW}
sys.stdout.flush()
print(subprocess.run([sys.executable, "-c", {SHOW!r}]).returncode)
dhagapatch.patch_all()
{SHOW}
dhagapatch.patch_all(stall=0, track_locks=False, inspect=False, dump_signal="none")
{SHOW}
"""
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
options = ["--children", "--stall", "0.25", "--track-locks", "--inspect"]
done = subprocess.run([sys.executable, "-m", "dhagapatch", *options, "-c", PARENT], capture_output=True, text=True, env=ENVIRON)
own, child, code, again, off = done.stdout.splitlines()
assert own == "[('dump_signal', 3), ('inspect', '1'), ('stall', 0.25), ('track_locks', True)] True True" == again, done
assert child == own.replace("3", "0", 1) and code == "0", done  # it dies by the signal as ever
assert off == "[('dump_signal', 0), ('inspect', ''), ('stall', 0), ('track_locks', False)] False False", done
assert not done.stderr and not os.listdir(os.path.join(runtime, "dhagapatch")), (done, os.listdir(runtime))

# a path in the environment is for the first; the others have their number at its end
path = os.path.join(runtime, "path")
INNER = f"import os, dhagapatch; dhagapatch.patch_all(); print(os.path.exists(f'{path}.{{os.getpid()}}'))"
OUTER = f"""
import os, subprocess, sys
print(os.path.exists({path!r}), flush=True)
subprocess.run([sys.executable, '-c', {INNER!r}])
"""
words = [sys.executable, "-m", "dhagapatch", "--no-children", "-c", OUTER]  # patched ones have the usual path
done = subprocess.run(words, capture_output=True, text=True, env={**ENVIRON, "DHAGAPATCH_INSPECT": path})
assert (done.stdout, done.stderr) == ("True\nTrue\n", ""), done
assert os.listdir(runtime) == ["dhagapatch"], os.listdir(runtime)

# while it ends, the signal has a dump printed to the last of the program's own functions, and then its action again
LAST = """
import atexit, os, signal, sys, time
class Late:
    def __del__(self, kill=os.kill, pid=os.getpid(), number=signal.SIGQUIT):
        kill(pid, number)
late = Late()
def at_exit():
    os.kill(os.getpid(), signal.SIGQUIT)
    time.sleep(0.4)
    print("goes on", flush=True)
atexit.register(at_exit)
"""
done = subprocess.run([sys.executable, "-m", "dhagapatch", "-c", LAST], capture_output=True, text=True, env=ENVIRON)
assert (done.returncode, done.stdout) == (-signal.SIGQUIT, "goes on\n") and "in at_exit" in done.stderr, done

# a forked child that has no hub, and asks for more
FORKED = """
import os, signal, time, dhagapatch
child = os.fork()
if not child:
    dhagapatch.patch_all(stall=0.5)
    os.kill(os.getpid(), signal.SIGQUIT)
    until = time.monotonic() + 0.5
    while time.monotonic() < until: pass
    os._exit(7)
print(child, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
done = subprocess.run([sys.executable, "-m", "dhagapatch", "-c", FORKED], capture_output=True, text=True, env=ENVIRON)
pid, code = done.stdout.split()
assert code == "7" and f"dhagapatch: process {pid}, 0 dhagas" in done.stderr, done

for variable, value, words in (
    ("DHAGAPATCH_STALL", "0.001", "0.01 to 3600 seconds"), ("DHAGAPATCH_STALL", "long", "0.01 to 3600 seconds"),
    ("DHAGAPATCH_DUMP_SIGNAL", "SIGNONE", "no signal has this name"), ("DHAGAPATCH_TRACK_LOCKS", "yes", "0 or 1 is needed"),
):  # fmt: skip
    command = [sys.executable, "-c", "import dhagapatch"]
    done = subprocess.run(command, capture_output=True, text=True, env={**ENVIRON, variable: value})
    assert done.returncode == 1 and variable in done.stderr and words in done.stderr, done
for options, words in (
    (["--stall", "x"], "--stall needs seconds"), (["--stall", "9999"], "0.01 to 3600 seconds"), (["--stall"], "--stall needs"),
    (["--dump-signal"], "--dump-signal needs a name"), (["--dump-signal", "SIGFOO"], "no signal has this name"),
):  # fmt: skip
    command = [sys.executable, "-m", "dhagapatch", *options, *(() if "needs" in words else ("-c", "pass"))]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRON)
    assert done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1, done
