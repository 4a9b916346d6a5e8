"""What outlives the modules: it works to the last moment."""

from __future__ import annotations

from ending import Ending, late, noisy

__all__ = ["OUTLIVING"]

OUTLIVING: dict[str, Ending] = {
    "locks": late("""
import threading, _thread, sys
PATCH
def calls(lock, make=threading.Lock):
    return (lock.acquire, lambda: lock.acquire(False), lock.release, lock.__enter__, lock.__exit__,
        lambda: lock.acquire(True, .001),
            lambda: lock.acquire(True, .001), lock.release, lock.release, lambda: make().acquire(),
                lambda: hasattr(lock, "x"))
keep("os", Late("module", *calls(threading.Lock()), *calls(_thread.allocate_lock()), *calls(threading.RLock())))
keep("sys", Late("sys", *calls(threading.Lock()), *calls(threading.RLock())))
drop(Late("early", *calls(threading.Lock())))
lock = threading.Lock(); keep("os", Late("locked", lambda lock=lock: lock.locked()))
"""),
    "a lock that a daemon holds": late("""
import threading, time
PATCH
lock, rlock, go = threading.Lock(), threading.RLock(), threading.Event()
def run():
    with lock, rlock:
        go.set(); time.sleep(99)
threading.Thread(target=run, daemon=True).start(); go.wait()
calls = (lambda l=lock: l.acquire(True, .01), lambda l=rlock: l.acquire(True, .01),
    lambda l=lock: l.acquire(False), lock.locked)
keep("os", Late("module", *calls)); keep("sys", Late("sys", *calls))
drop(Late("early", *calls))
"""),
    "a condition": late("""
import threading, time
PATCH
condition, event = threading.Condition(), threading.Event()
drop(Late("early", condition.acquire, lambda: condition.wait(.01), condition.release, event.set, event.wait, event.is_set))
"""),
    "daemons stand still": late("""
import threading, time, os
lock = threading.Lock()
PATCH
said = []
def run(time=time, os=os, sleep=time.sleep, write=os.write):
    while True:
        sleep(.001)
        if said: write(1, b"never\\n")
threading.Thread(target=run, daemon=True).start()
keep("os", Late("module", lambda: said.append(1), lambda sleep=time.sleep: sleep(.03),
    lambda lock=lock: lock.acquire(), lambda lock=lock: lock.acquire(True, .03)))
drop(Late("early", lambda: said.append(1), lambda: time.sleep(.03)))
"""),
    "thread-local data": late("""
import threading
local = threading.local(); local.x = 0
PATCH
other = threading.local(); other.x = 1
def calls(local, make=threading.local, sorted=sorted):
    return (lambda: local.x, lambda: setattr(local, "y", 2), lambda: local.y, lambda: sorted(local.__dict__),
        lambda: delattr(local, "x"),
            lambda: local.x, lambda: make().__dict__)
drop(Late("early", *calls(local)))
keep("os", Late("module", *calls(local))); keep("os", Late("another", *calls(other))); keep("sys", Late("sys", *calls(other)))
"""),
    "queues": late("""
import queue
PATCH
q = queue.SimpleQueue()
calls = (lambda q=q: q.put(1), q.qsize, q.get, q.empty, lambda q=q: q.get(False), lambda q=q: q.get(True, .01),
    lambda make=queue.SimpleQueue: make().qsize())
drop(Late("early", *calls))
keep("os", Late("module", *calls)); keep("sys", Late("sys", *calls[:4], calls[5]))
"""),
    "descriptors": late("""
import os, select, time
PATCH
r, w = os.pipe(); r2, w2 = os.pipe()
os.set_blocking(r2, False)
calls = (lambda write=os.write, w=w: write(w, b'abc'), lambda read=os.read, r=r: read(r, 2),
    lambda s=select.select, r=r: s([r], [], [], 1),
    lambda s=select.select, r=r2: s([r], [], [], .01), lambda read=os.read, r=r2: read(r, 2),
        lambda sleep=time.sleep: sleep(.01),
    lambda p=select.poll: p().poll(1), lambda w=os.writev, f=w: w(f, [b'a', b'b']),
        lambda rv=os.readv, r=r, b=bytearray: rv(r, [b(3)]),
    lambda s=os.set_blocking, r=r: s(r, True), lambda y=os.sched_yield: y(), lambda o=os.open: o('/nonexistent', 0),
    lambda o=open: o('/dev/null').read(), lambda w=os.waitpid: w(-1, 1), lambda s=os.system: s('exit 3'))
last = (lambda d=os.dup2, w=w, r=r2: d(w, r) == r,
    lambda close=os.close, r=r: close(r), lambda read=os.read, r=r: read(r, 1),
        lambda close=os.closerange, w=w: close(w, w + 1))
drop(Late("early", *calls))
keep("os", Late("module", *calls)); keep("sys", Late("sys", *calls, *last))
"""),
    "much written": late("""
import os, threading
PATCH
r, w = os.pipe()
pid = os.fork()
if not pid:
    os.close(w); n = 0
    while part := os.read(r, 9999): n += len(part)
    os.write(1, b'read %d\\n' % n); os._exit(0)
os.close(r)
keep("os", Late("module",
    lambda write=os.write, w=w, close=os.close, wait=os.waitpid, pid=pid: write(w, b'x' * 300000) and close(w) or wait(pid,
        0) == (pid, 0)))
"""),
    "readiness": late("""
import os, select
PATCH
r, w = os.pipe(); os.write(w, b'x')
poll, epoll = select.poll(), select.epoll()
poll.register(r, 1); epoll.register(r, 1)
drop(Late("early", lambda: len(poll.poll(1)), lambda: len(epoll.poll(1)), lambda: len(select.select([r], [], [])[0])))
keep("os", Late("module", lambda p=poll, len=len: len(p.poll(1)), lambda e=epoll, len=len: len(e.poll(1)),
    lambda e=epoll, r=r: e.unregister(r), lambda e=epoll: e.poll(.01),
    lambda p=poll, r=r: p.unregister(r), lambda p=poll: p.poll(1), epoll.close, lambda e=epoll: e.closed))
"""),
    "sockets": late("""
import socket
older = socket.socketpair(); older[1].settimeout(.01)
PATCH
def calls(a, b, bytearray=bytearray):
    return (lambda: a.send(b'abc'), lambda: b.recv(2), lambda: b.recv(2), lambda: b.recv(2), lambda: a.sendall(b'x'),
        lambda: b.recv_into(bytearray(3)), lambda: a.gettimeout(), lambda: b.gettimeout(), lambda: a.settimeout(.01),
            lambda: a.recv(1),
        lambda: a.setblocking(False), lambda: a.recv(1), lambda: a.fileno() > 0, lambda: a.sendmsg([b'x']),
            lambda: b.recvmsg(9)[0],
        lambda: a.shutdown(1), lambda: b.recv(2), lambda: a.timeout)
a, b = socket.socketpair(); b.settimeout(.01)
keep("os", Late("module", *calls(a, b))); keep("os", Late("older", *calls(*older)))
a, b = socket.socketpair(); b.settimeout(.01)
keep("sys", Late("sys", *calls(a, b), lambda a=a: a.detach() > 0))
keep("os", Late("close", a.close, b.close, lambda b=b: b.fileno()))
"""),
    "sockets that are full": late("""
import socket, os
PATCH
a, b = socket.socketpair()
pid = os.fork()
if not pid:
    a.close(); n = 0
    while part := b.recv(9999): n += len(part)
    os.write(1, b'read %d\\n' % n); os._exit(0)
b.close()
keep("os", Late("module",
    lambda a=a, wait=os.waitpid, pid=pid: a.sendall(b'x' * 3000000) or a.shutdown(1) or wait(pid, 0) == (pid, 0)))
"""),
    "files": late("""
import os
PATCH
def calls(source, sink):
    return (lambda f=sink: f.write(b'abc\\n'), sink.flush, source.readline, lambda: sink.raw.write(b'x'),
        lambda: source.read(1),
        lambda: source.fileno() > 0, lambda: source.closed, sink.close, source.read, source.close, lambda: source.closed)
r, w = os.pipe(); keep("os", Late("module", *calls(open(r, 'rb'), open(w, 'wb'))))
r, w = os.pipe(); keep("sys", Late("sys", *calls(open(r, 'rb'), open(w, 'wb'))))
"""),
    "text files": late("""
import os
PATCH
def calls(source, sink):
    return (lambda: sink.write('abc\\n'), sink.flush, source.readline, sink.close, source.read, source.close)
r, w = os.pipe(); keep("os", Late("module", *calls(open(r), open(w, 'w'))))
r, w = os.pipe()
source, sink = open(r, 'rb', 0), open(w, 'wb', 0)
keep("sys", Late("sys", lambda f=sink: f.write(b'abc\\n'), source.readline, sink.close, source.read, source.close))
del source, sink
"""),
    "signals": late("""
import _signal
PATCH
calls = (lambda s=_signal.signal, n=_signal.SIGUSR1: s(n, 1), lambda g=_signal.getsignal, n=_signal.SIGUSR1: g(n),
    lambda m=_signal.pthread_sigmask: m(0, []), lambda p=_signal.sigpending: p())
drop(Late("early", *calls))
keep("os", Late("module", *calls))
"""),
    "threads": late("""
import threading, _thread
PATCH
calls = (lambda i=_thread.get_ident, me=_thread.get_ident(): i() == me, _thread._count)
drop(Late("early", *calls, threading.active_count))
keep("os", Late("module", *calls)); keep("sys", Late("sys", *calls))
"""),
    "C calls back": Ending("""
import ctypes, functools
PATCH
libc = ctypes.CDLL(None)
kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
class A:
    def __del__(self, qsort=libc.qsort, two=(ctypes.c_int * 2)(2, 1), back=kind(lambda a, b,
        print=print: print('called') or 0)):
        qsort(two, 2, 4, back)
a = A()
print(sorted([2, 1], key=lambda n: print('key') or n))
"""),
    "audit hook": Ending("""
import sys
PATCH
sys.addaudithook(lambda event, args, print=print: print(event) if event == 'cpython._PySys_ClearAuditHooks' else None)
print('end')
"""),
    "child processes": late("""
import subprocess
PATCH
keep("os", Late("module", lambda P=subprocess.Popen: P(['true']).wait()))
drop(Late("early", lambda P=subprocess.Popen: P(['true']).wait(), lambda: subprocess.check_output(['echo', 'x'])))
"""),
    "threads that begin then": late("""
import sys, threading, _thread
PATCH
starts = [lambda: _thread.start_new_thread(print, ())]
if sys.version_info >= (3, 12):  # before, the start waits for ever for a thread that the interpreter does not let run any more
    starts.append(lambda: threading.Thread(target=print).start())
drop(Late("early", *starts))
"""),
    "a queue of Python": late("""
import queue, threading
PATCH
q = queue.Queue(1)
drop(Late("early", lambda: q.put(1), lambda: q.put(1, timeout=.01), lambda: q.get(), lambda: q.get(timeout=.01),
    lambda: q.empty()))
"""),
    "a pool of processes": Ending("""
import multiprocessing as m, sys
PATCH
if __name__ == '__main__':
    pool = m.get_context('fork').Pool(2)
    print(pool.map(abs, [-1, -2]))
"""),
    "a listener": Ending("""
import logging, logging.handlers, queue, sys
PATCH
q = queue.Queue(); h = logging.StreamHandler(sys.stdout)
l = logging.handlers.QueueListener(q, h); l.start()
logging.getLogger('x').addHandler(logging.handlers.QueueHandler(q)); logging.getLogger('x').warning('hello')
import atexit; atexit.register(l.stop)
"""),
    "standard input": Ending("""
import sys
PATCH
class A:
    def __del__(self, s=sys.stdin, print=print, input=input):
        print(repr(s.read()))
        try: input()
        except Exception as e: print(type(e).__name__ if type else e)
a = A()
"""),
    "files that are opened then": late("""
import os, tempfile
path = tempfile.mktemp()
PATCH
keep("os", Late("module", lambda open=open, path=path: open(path, 'wb').write(b'x'),
    lambda open=open, path=path: open(path, 'rb', 0).read(), lambda u=os.unlink, path=path: u(path)))
drop(Late("early", lambda: open(path, 'w').write('x'), lambda: open(path).read()))
"""),
    "sockets that are made then": late("""
import socket
PATCH
a, b = socket.socketpair()
drop(Late("early", lambda: a.makefile('w').write('abc'), lambda: b.recv(9),
    lambda: socket.socketpair()[0].close(), lambda: b.makefile('rb', 0).readable(), lambda: a.sendall(b'line'),
    lambda: b.makefile('rb').read(4)))
"""),
    "a context": noisy("""
import contextvars
PATCH
v = contextvars.ContextVar('v'); v.set(Noisy('in a context'))
"""),
}
