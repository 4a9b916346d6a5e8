"""Exit codes, `atexit`, exceptions, signals; and threads that are there when the main one ends."""

from __future__ import annotations

import sys

from ending import EVERY, Ending, noisy

__all__ = ["LEAVING"]

INTERRUPTED = """
import os, signal, sys, threading, time
PATCH
def work():
    main = threading.main_thread()
    while main.is_alive() if sys.version_info < (3, 13) else not sys._current_frames()[main.ident].f_code.co_name == '_shutdown':
        time.sleep(.001)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(2)  # longer than the rest takes on a busy machine: natively it ends in the middle of that
    print('done', flush=True)
threading.Thread(target=work).start()
"""

LEAVING: dict[str, Ending] = {
    "atexit": Ending("""
import atexit
atexit.register(print, 'registered first')
PATCH
atexit.register(print, 'registered last')
print('end')
""", outputs=EVERY),
    "atexit that waits": Ending("""
import atexit, threading, time, queue
q = queue.Queue()
@atexit.register
def last():
    q.put('from atexit'); q.join()
    time.sleep(.01); print('left')
PATCH
def serve():
    while True:
        print(q.get()); q.task_done()
threading.Thread(target=serve, daemon=True).start()
"""),
    "atexit fails": Ending("""
import atexit
PATCH
atexit.register(lambda: 1 / 0)
atexit.register(print, 'other')
print('end')
"""),
    "atexit exits": Ending("""
import atexit, sys
PATCH
atexit.register(sys.exit, 7)
print('end')
"""),
    "atexit after a failure": Ending("""
import atexit
PATCH
atexit.register(print, 'all the same')
raise KeyError('x')
"""),
    "no excepthook": Ending("""
import sys, threading
PATCH
def f(): raise ValueError('in a thread')
t = threading.Thread(target=f)
del sys.excepthook
t.start(); t.join()
try:
    1 / 0
except ZeroDivisionError:
    raise KeyError('x')
"""),
    "no hook that threads have": Ending("""
import sys, threading
PATCH
def f(): raise ValueError('in a thread')
t = threading.Thread(target=f)
del sys.excepthook, sys.unraisablehook, threading.excepthook
t.start(); t.join()
"""),
    "interrupted while threads are waited for": Ending(INTERRUPTED),
    "a handler raises while threads are waited for": Ending(f"""{INTERRUPTED}
def handler(number, frame):
    print(frame.f_code.co_name); raise ValueError('x')
signal.signal(signal.SIGINT, handler)
"""),
    "threading's own atexit": Ending("""
import threading
PATCH
threading._register_atexit(print, 'before the threads')
go = threading.Event()
def run():
    go.wait(5); print('a thread')
threading.Thread(target=run).start()
threading._register_atexit(go.set)
"""),
    "exit code": Ending("""
import sys
PATCH
print('end', end='')
sys.exit(3)
"""),
    "exit message": Ending("""
import sys
PATCH
print('end', end='')
sys.exit('a message')
"""),
    "exit of an object": Ending("""
import sys
PATCH
sys.exit((1, 'two'))
"""),
    "exit in a thread": Ending("""
import sys, threading
PATCH
t = threading.Thread(target=sys.exit, args=(5,)); t.start(); t.join(); print('end')
"""),
    "at once": noisy("""
import os
PATCH
a = Noisy('never said')
print('lost')
os._exit(4)
""", outputs=("pipe", "file")),
    "at once in a thread": Ending("""
import os, threading
PATCH
print('lost')
threading.Thread(target=os._exit, args=(4,)).start()
import time
time.sleep(5)
""", outputs=("pipe", "file")),
    "uncaught": noisy("""
PATCH
a = Noisy('a global')
print('end')
raise ValueError('uncaught')
""", outputs=EVERY),
    "uncaught in a thread": noisy("""
import threading
PATCH
a = Noisy('a global')
def run():
    raise ValueError('uncaught')
t = threading.Thread(target=run, name='T'); t.start(); t.join(); print('end')
"""),
    "uncaught holds": noisy("""
PATCH
def f():
    a = Noisy('of the frame')
    raise ValueError('uncaught')
f()
"""),
    "failing hook": Ending("""
import sys
PATCH
def hook(*a):
    print('hook')
    raise TypeError('in the hook')
sys.excepthook = hook
raise ValueError(1)
"""),
    "SIGINT": noisy("""
import signal
PATCH
a = Noisy('a global')
print('end')
signal.raise_signal(signal.SIGINT)
""", outputs=EVERY),
    "SIGTERM": noisy("""
import signal
PATCH
a = Noisy('a global')
print('lost')
signal.raise_signal(signal.SIGTERM)
"""),
    "SIGTERM handled": noisy("""
import signal, sys, time
PATCH
a = Noisy('a global')
signal.signal(signal.SIGTERM, lambda *a: sys.exit(9))
print('end')
signal.raise_signal(signal.SIGTERM)
time.sleep(5)
"""),
    "SIGPIPE as it is in C": Ending("""
import signal
PATCH
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
print('a line')
""", outputs=("pipe", "broken")),
    "exec": Ending("""
import os
PATCH
print('lost')
os.execvp('echo', ['echo', 'another program'])
""", outputs=("pipe", "file")),
    "fork": Ending("""
import os, sys
PATCH
print('twice')
pid = os.fork()
if pid == 0:
    print('child'); sys.exit(0)
os.waitpid(pid, 0)
print('end')
""", outputs=("pipe", "file")),
    "fork, finalizers": noisy("""
import os
PATCH
a = Noisy('a global')
pid = os.fork()
if pid:
    print(os.waitpid(pid, 0)[1]); print('parent')
"""),
    # threads that are there
    "thread after the end": noisy("""
import threading, time
PATCH
a = Noisy('a global')
def run():
    threading.main_thread().join(); time.sleep(.01); print('thread')
threading.Thread(target=run).start()
print('end')
""", outputs=EVERY),
    "daemons that wait": noisy("""
import threading, time, queue, socket, os, select
PATCH
a = Noisy('a global')
x, y = socket.socketpair(); r, w = os.pipe()
lock = threading.Lock(); lock.acquire(); condition = threading.Condition()
pipe = open(r, 'rb')
def wait():
    with condition: condition.wait()
for call in (lambda: time.sleep(99), lock.acquire, queue.Queue().get, queue.SimpleQueue().get, threading.Event().wait, wait,
             lambda: x.recv(1), lambda: y.makefile('rb').read(), lambda: pipe.read(1), lambda: select.select([x], [], []),
             threading.Barrier(2).wait, threading.Semaphore(0).acquire):
    threading.Thread(target=call, daemon=True).start()
time.sleep(.05); print('end')
""", outputs=EVERY),
    "daemon that holds": noisy("""
import threading, time
PATCH
go = threading.Event()
def run():
    a = Noisy('never said')
    go.set()
    try:
        time.sleep(99)
    finally:
        print('never')
threading.Thread(target=run, daemon=True).start()
go.wait()
print('end')
"""),
    "daemon that runs": Ending("""
import threading, time
PATCH
go = threading.Event()
def run():
    while True:
        go.set(); time.sleep(0)
threading.Thread(target=run, daemon=True).start()
go.wait()
print('end')
"""),
    "timer": Ending("""
import threading
PATCH
threading.Timer(.05, print, ('later',)).start()
print('end')
"""),
    "pool": Ending("""
import concurrent.futures as c, time
PATCH
pool = c.ThreadPoolExecutor(2)
for n in range(3): pool.submit(lambda n=n: (time.sleep(.1 + .02 * n), print(n)))
print('end')
"""),
    "pool that is left": noisy("""
import concurrent.futures as c
PATCH
pool = c.ThreadPoolExecutor(2)
f = pool.submit(lambda: Noisy('a result'))
f.result().print('had')
print('end')
"""),
    "processes": Ending("""
import multiprocessing as m
PATCH
if __name__ == '__main__':
    p = m.get_context('fork').Process(target=print, args=('child',)); p.start()
    print('end', p.join())
"""),
    "asynchronous generator": Ending("""
import asyncio
PATCH
async def steps(print=print):
    try:
        yield 1
    finally:
        print('finally')
g = steps()
async def main():
    print(await g.asend(None))
asyncio.run(main())
h = steps()
loop = asyncio.new_event_loop()
print(loop.run_until_complete(h.asend(None)))
"""),
    "logging": Ending("""
import logging, logging.handlers, sys
PATCH
logging.basicConfig(stream=sys.stdout, level=0)
memory = logging.handlers.MemoryHandler(100, target=logging.StreamHandler(sys.stdout))
logging.getLogger('m').addHandler(memory)
logging.getLogger('m').info('kept'); logging.info('said')
class A:
    def __del__(self, log=logging.getLogger('x')): log.warning('gone')
x = [A()]; x.append(x); del x
print('end')
"""),
}

if sys.version_info[:2] != (3, 12):  # which has no new threads from the end of the main one on; dhagas begin all the same
    LEAVING["thread in the end"] = Ending("""
import atexit, threading
PATCH
def late():
    try:
        t = threading.Thread(target=print, args=('from a thread',)); t.start(); t.join()
    except RuntimeError as error:
        print(error)
atexit.register(late)
print('end')
""")
