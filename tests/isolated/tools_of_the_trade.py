"""pdb, faulthandler, coverage, cProfile, trace and profile functions: what they tell of threads they tell of dhagas."""

import concurrent.futures
import os
import re
import signal
import subprocess
import sys
import tempfile

folder = tempfile.mkdtemp()
PDB = """
import threading, time
def work(n):
    total = 0
    for i in range(n):
        total += i
    breakpoint()
    time.sleep(0.001)
    total += 1
    return total
def beats():
    for _ in range(20):
        time.sleep(0.001)
    print("beats are done")
other = threading.Thread(target=beats)
other.start()
other.join()
thread = threading.Thread(target=work, args=(4,), name="debugged")
thread.start()
thread.join()
breakpoint()
print("end")
"""
COMMANDS = "p total\nn\nn\np total\nl 5,8\nw\nup\np self.name\ndown\nb 10\nc\np total\nr\nc\nn\np thread.name\nc\n"
STEPS = """
import os, select, socket, threading, time
a, b = socket.socketpair()
lock = threading.Lock()
def inner(n):
    time.sleep(0.002)
    return n
def work():
    breakpoint()
    with lock:
        inner(1)
    a.sendall(b"x" * 5); b.settimeout(5)
    print(b.recv(5), b.gettimeout())
    try: lock.release()
    except RuntimeError as error: print(error)
    lock.acquire(timeout=1)
    print(lock.acquire(timeout=0.01), lock.locked()); lock.release()
    print(select.select([a], [b], [], 0.01)[1] == [b])
    total = sum(map(inner, range(3)))
    os.close(os.open(os.devnull, os.O_RDONLY))
    return total
thread = threading.Thread(target=work)
thread.start()
thread.join()
work()
print("end")
"""
FAULTS = """
import faulthandler, re, sys, tempfile, threading, time
event = threading.Event()
def waits(): event.wait(10)
def sleeps(): time.sleep(0.6)
threads = [threading.Thread(target=f) for f in (waits, sleeps)]
for thread in threads: thread.start()
time.sleep(0.2)
def show(*args, **kwargs):
    with tempfile.TemporaryFile() as file:
        faulthandler.dump_traceback(file, *args, **kwargs)
        file.seek(0)
        text = re.sub(r"0x[0-9a-f]{16}", "0x", file.read().decode())
    blocks = text.rstrip("\\n").split("\\n\\n")
    print(blocks[-1], *sorted(blocks[:-1]), sep="\\n--\\n")
show()
show(all_threads=False)
inside = threading.Thread(target=show, args=(False,))
inside.start()
inside.join()
for bad in ("no file", None, -5):
    try: print(faulthandler.dump_traceback(bad) if bad else "")
    except Exception as error: print(type(error), error)
frames = sys._current_frames()
names = {thread.ident: thread.name for thread in threading.enumerate()}
names[threading.get_ident()] = "main"
print(sorted((names[ident], frame.f_code.co_name) for ident, frame in frames.items() if ident in names))
event.set()
for thread in threads: thread.join()
"""
PROFILES = """
import cProfile, pstats, sys, threading, time
def leaf(): return sum(range(100))
def waits():
    time.sleep(0.05)
def work(n, out, profiler):
    profiler.enable()
    for _ in range(n):
        leaf()
        waits()
    profiler.disable()
    found = {function[2]: values for function, values in pstats.Stats(profiler).stats.items() if function[0] == __file__}
    out[n] = sorted((name, values[0]) for name, values in found.items() if name in ("leaf", "waits"))
    # the time that it waited is the caller's; since 3.12 a return in the main thread may end a call of this one, natively too
    out[n].append(sys.version_info >= (3, 12) or 0.045 * n < found["waits"][3] < 3)
out = {}
if sys.version_info < (3, 12):
    threads = [threading.Thread(target=work, args=(n, out, cProfile.Profile())) for n in (3, 5, 7)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
else:  # one profiler at a time, natively too
    for n in (3, 5):
        thread = threading.Thread(target=work, args=(n, out, cProfile.Profile()))
        thread.start()
        thread.join()
print(sorted(out.items()), sys.getprofile())
main = cProfile.Profile()
main.enable()
thread = threading.Thread(target=leaf)
thread.start()
time.sleep(0.01)
thread.join()
leaf()
main.disable()
calls = {function[2]: values[0] for function, values in pstats.Stats(main).stats.items() if function[0] == __file__}
print("leaf", calls.get("leaf") if sys.version_info < (3, 12) else "")
"""
TRACES = """
import sys, threading, time
seen = {}
def tracer(frame, event, arg):
    # what is C code natively, `time.sleep`, is Python code here: a call that can be seen, of another file
    if frame.f_code.co_filename == __file__ and not event.startswith("c_"):
        seen.setdefault(threading.current_thread().name, []).append((event, frame.f_code.co_name, frame.f_lineno))
        return tracer
def inner(n):
    time.sleep(0.001)
    return n
def work(n):
    for i in range(n):
        inner(i)
for set_it, get_it in ((threading.settrace, sys.gettrace), (threading.setprofile, sys.getprofile)):
    set_it(tracer)
    threads = [threading.Thread(target=work, args=(n,), name=f"T{n}") for n in (1, 2)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    set_it(None)
    print(sorted(seen.items()), get_it())
    seen.clear()
"""
COVERED = """
import queue, threading, time
q = queue.Queue()
def inner(n):
    if n % 2:
        q.put(n)
    else:
        time.sleep(0.001)
        q.put(-n)
    return n
def worker(n):
    for i in range(n):
        time.sleep(0.001)
        inner(i)
    if n == 100:
        print("never")
lock = threading.Lock()
threads = [threading.Thread(target=worker, args=(4,)) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with lock:
    print(sorted(q.get() for _ in range(q.qsize())))
"""


def run(words, stdin="", **environ):
    done = subprocess.run([sys.executable, *words], input=stdin, capture_output=True, text=True, timeout=18, cwd=folder,
                          env={**os.environ, **environ})  # fmt: skip
    text, complained = (re.sub(r"0x[0-9a-f]+|\b\d{12,}\b", "0x", said) for said in (done.stdout, done.stderr))
    # pdb shows the runtime's own frame at the root of a thread
    text = re.sub(r"  \S+/dhagapatch/core/dhaga.py\(\d+\)_run\(\)\n-> function\(.*\n", "", text)
    return done.returncode, text, complained


def same(name, source, stdin=""):
    path = os.path.join(folder, f"{name}.py")
    with open(path, "w") as file:
        file.write(source)
    native, green = run([path], stdin), run(["-m", "dhagapatch", path], stdin)
    assert native[0] == 0 and native == green, f"{name}\n{native[1]}\n--\n{green[1]}\n{native[2]}\n{green[2]}"
    return native[1]


def covered(concurrency, core, natively=True):
    """The lines that are found executed: natively, with the runtime inside of coverage, and outside."""
    from coverage import CoverageData

    found = []
    ways = (((), ()), ((), ("-m", "dhagapatch")), (("-m", "dhagapatch"), ()))
    for number, (before, after) in enumerate(ways[not natively :]):
        data = os.path.join(folder, f".coverage-{concurrency}-{core}-{number}")
        words = ["-m", "coverage", "run", f"--concurrency={concurrency}", "--omit=*/dhagapatch/*", f"--data-file={data}"]
        code, out, error = run([*before, *words, *after, "covered.py"], COVERAGE_CORE=core)
        assert code == 0, (concurrency, core, out, error)
        measured = CoverageData(data)
        measured.read()
        lines = [sorted(measured.lines(file)) for file in measured.measured_files() if file.endswith("covered.py")]
        found.append((out, lines))
    assert all(one == found[0] for one in found) and found[0][1], (concurrency, core, found)
    return found[0][1][0]


signal.signal(signal.SIGQUIT, signal.SIG_DFL)
with open(os.path.join(folder, "covered.py"), "w") as file:
    file.write(COVERED)
cores = ["ctrace", "pytrace", *(["sysmon"] if sys.version_info >= (3, 12) else [])]
with concurrent.futures.ThreadPoolExecutor(3) as pool:
    programs = [pool.submit(same, *one) for one in (
        ("pdb_in_a_thread", PDB, COMMANDS), ("steps", STEPS, ("s\n" * 45 + "c\n") * 2),
        ("faults", FAULTS), ("profiles", PROFILES), ("traces", TRACES),
    )]  # fmt: skip
    lines = [pool.submit(covered, "thread", core) for core in cores]
    # not natively: in about one run of thirty plain Python never ends then (seen with coverage 7.17 and greenlet 3.5: as
    # the join of a thread frees its greenlet, a callback of coverage's weak references goes round for ever)
    with_greenlets = pool.submit(covered, "thread,greenlet", "ctrace", natively=False)
    alone = pool.submit(covered, "greenlet", "ctrace")
    told = [one.result() for one in programs]
    assert "debugged" in told[0] and told[0].count("(Pdb)") > 10 and "beats are done" in told[0], told[0]
    assert told[1].count("(Pdb)") > 45 and "_bootstrap_inner()" in told[1] and "end\n" in told[1], told[1]
    assert told[2].count("Thread 0x") == 2 and ("waits" in told[2]), told[2]
    all_but_never = [one.result() for one in lines]
    assert all(found == all_but_never[0] for found in all_but_never) and len(all_but_never[0]) > 20, all_but_never
    assert with_greenlets.result() == all_but_never[0]
    assert alone.result()  # natively too it sees the main thread only
