"""Finalizers that run when the modules are cleared, or soon before or after."""

from __future__ import annotations

from ending import EVERY, Ending, noisy

__all__ = ["FINALIZERS"]

FINALIZERS: dict[str, Ending] = {
    "global": noisy("""
PATCH
a = Noisy('a global')
print('end')
""", outputs=EVERY),
    "global -c": noisy("""
PATCH
a = Noisy('a global')
print('end')
""", way="-c"),
    "global -m": noisy("""
PATCH
a = Noisy('a global')
print('end')
""", way="-m"),
    "globals in order": noisy("""
_a, b, _c = Noisy('_a'), Noisy('b'), Noisy('_c')
PATCH
d = Noisy('d')
"""),
    "cycle": noisy("""
PATCH
a = Noisy('a cycle'); a.self = a
""", outputs=EVERY),
    "cycle without the collector": noisy("""
import gc
gc.disable()
PATCH
a = Noisy('a cycle'); a.self = a; del a
"""),
    "frozen": noisy("""
import gc
a = Noisy('frozen'); a.self = a
gc.freeze()
PATCH
"""),
    "generator": Ending("""
PATCH
def steps(print=print):
    try:
        yield 1
    finally:
        print('finally')
g = steps(); next(g)
""", outputs=EVERY),
    "generator with a file": Ending("""
import os
PATCH
def steps(open=open, fd=os.dup(1)):
    with open(fd, 'w') as out:
        out.write('in the file\\n')
        yield 1
g = steps(); next(g)
"""),
    "thread-local": noisy("""
import threading
local = threading.local()
PATCH
local.it = Noisy('in a local')
""", outputs=EVERY),
    "thread-local of a default": noisy("""
import threading
PATCH
local = threading.local(); local.it = Noisy('in a local')
def f(local=local): pass
f.f = f; del local
"""),
    "thread-local of a thread": noisy("""
import threading
PATCH
local = threading.local()
def run():
    local.it = Noisy('of the thread')
thread = threading.Thread(target=run); thread.start()
local.it = Noisy('of main')
thread.join(); print('end')
"""),
    "other module": noisy("""
import json, os
PATCH
json.it = Noisy('in json')
"""),
    "made module": noisy("""
import sys, types
module = types.ModuleType('other'); sys.modules['other'] = module
PATCH
module.it = Noisy('in a module')
"""),
    "module that stays": noisy("""
import os
PATCH
os.it = Noisy('in os')
print('end')
"""),
    "in sys": noisy("""
import sys
PATCH
sys.it = Noisy('in sys')
print('end')
""", outputs=EVERY),
    "in builtins": noisy("""
import builtins
PATCH
builtins.it = Noisy('in builtins')
print('end')
""", outputs=EVERY),
    "class attribute": noisy("""
PATCH
class Keeper: it = Noisy('of a class')
print('end')
"""),
    "copy of the modules": noisy("""
import sys
PATCH
copy = dict(sys.modules)
a = Noisy('a global')
print('end')
"""),
    "to standard error": Ending("""
import sys
PATCH
class A:
    def __del__(self, print=print, sys=sys): print('gone', file=sys.stderr)
a = A()
"""),
    "by the stream": Ending("""
import sys
PATCH
class A:
    def __del__(self, out=sys.stdout):
        out.write('gone\\n')
a = A()
""", outputs=EVERY),
    "by the stream in the end": Ending("""
import sys
PATCH
class A:
    def __del__(self, out=sys.stdout):
        out.write('gone\\n'); out.flush()
sys.it = A()
"""),
    "by the buffer": Ending("""
import sys
PATCH
class A:
    def __del__(self, out=sys.stdout.buffer):
        out.write(b'gone\\n')
a = A()
"""),
    "by the raw file": Ending("""
import sys
PATCH
class A:
    def __del__(self, out=sys.stdout.buffer.raw):
        out.write(b'gone\\n')
a = A()
"""),
    "fails in a finalizer": Ending("""
PATCH
class A:
    def __del__(self, print=print):
        print('gone')
        raise ValueError('in the end')
a = A()
"""),
    "exits in a finalizer": Ending("""
PATCH
class A:
    def __del__(self, E=SystemExit):
        raise E(3)
a = A()
print('end')
"""),
    "weak reference": Ending("""
import weakref
PATCH
class A: pass
a = A()
w = weakref.ref(a, lambda ref, print=print: print('called back'))
weakref.finalize(a, print, 'finalized')
"""),
    "of a thread": noisy("""
import threading
PATCH
threading.current_thread().it = Noisy('of the main thread')
thread = threading.Thread(target=print, args=('a thread',)); thread.it = Noisy('of a thread'); thread.start(); thread.join()
threading.it = Noisy('in threading')
"""),
    "of a lock's holder": noisy("""
import threading
lock = threading.Lock()
class Holder: pass
holder = Holder(); holder.lock = lock; holder.it = Noisy('of a holder')
PATCH
holder.other = threading.RLock()
"""),
    "of a logger": noisy("""
import logging
PATCH
logging.getLogger('x').it = Noisy('of a logger')
"""),
}
