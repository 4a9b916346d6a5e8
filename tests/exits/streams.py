"""What is still to be written: standard streams, and files over pipes."""

from __future__ import annotations

from ending import EVERY, Ending, late, noisy

__all__ = ["STREAMS"]

STREAMS: dict[str, Ending] = {
    "file of a default": Ending("""
import os
PATCH
out = open(os.dup(1), 'w'); out.write('held\\n')
def f(out=out): pass
del out
print('end', flush=True)
""", outputs=EVERY),
    "file of a default, older": Ending("""
import os
out = open(os.dup(1), 'w'); out.write('held\\n')
def f(out=out): pass
del out
PATCH
print('end', flush=True)
"""),
    "binary file": Ending("""
import os
PATCH
out = open(os.dup(1), 'wb'); out.write(b'held\\n')
"""),
    "file in a cycle": Ending("""
import os
PATCH
out = open(os.dup(1), 'w'); out.write('held\\n')
x = [out]; x.append(x); del out
"""),
    "file in sys": Ending("""
import os, sys
PATCH
sys.it = open(os.dup(1), 'w'); sys.it.write('held\\n')
"""),
    "file of a socket": late("""
import socket
PATCH
a, b = socket.socketpair(); b.settimeout(5)
out = a.makefile("wb"); out.write(b"held")
keep("sys", Late("sys", lambda b=b: b.recv(10)))
import sys
keep("os", out)
del out; sys.out = "last"
print("end", flush=True)
"""),
    "pipe of a child": Ending("""
import subprocess
PATCH
child = subprocess.Popen(['cat'], stdin=subprocess.PIPE)
child.stdin.write(b'held\\n')
def f(pipe=child.stdin): pass
print('end', flush=True)
"""),
    "copied stream": Ending("""
import sys, io, os
PATCH
sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(os.dup(1), 'w')))
print('in the copy')
"""),
    # the standard streams
    "unflushed": Ending("""
PATCH
print('a line')
print('no line', end='')
""", outputs=EVERY),
    "unflushed, older": Ending("""
print('before', end=' ')
PATCH
print('after', end='')
""", outputs=EVERY),
    "much": Ending("""
PATCH
for n in range(30000): print(n)
""", outputs=("pipe", "file")),
    "closed stream": Ending("""
import sys
PATCH
print('a line')
sys.stdout.close()
""", outputs=EVERY),
    "print after close": Ending("""
import sys
PATCH
sys.stdout.close()
print('a line')
"""),
    "closed descriptor": Ending("""
import os
PATCH
print('a line')
os.close(1)
"""),
    "detached stream": Ending("""
import sys
PATCH
print('a line')
buffer = sys.stdout.detach()
buffer.write(b'bytes')
"""),
    "no stream": Ending("""
import sys
PATCH
print('a line')
sys.stdout = None
print('nothing')
"""),
    "deleted stream": Ending("""
import sys
PATCH
print('a line')
del sys.stdout
try:
    print('nothing')
finally:
    pass
"""),
    "other stream": noisy("""
import sys, io
PATCH
print('a line')
sys.stdout = io.StringIO()
a = Noisy('a global')
print('nothing')
"""),
    "line by line": Ending("""
import sys
PATCH
sys.stdout.reconfigure(line_buffering=True)
print('a line')
print('no line', end='')
"""),
    "broken pipe": Ending("""
PATCH
print('a line')
""", outputs=("broken", "full")),
    "broken pipe and an error": Ending("""
PATCH
print('a line')
raise ValueError(3)
""", outputs=("broken", "full")),
    "broken pipe, flushed": Ending("""
PATCH
print('a line', flush=True)
""", outputs=("broken", "full")),
    "broken pipe in a finalizer": noisy("""
PATCH
a = Noisy('a global')
""", outputs=("broken", "full")),
    "broken pipe, much": Ending("""
PATCH
for n in range(30000): print(n)
""", outputs=("broken", "full")),
    "no standard output": Ending("""
PATCH
print('a line')
""", outputs=("closed",)),
    "no standard output, finalizer": noisy("""
PATCH
a = Noisy('a global')
""", outputs=("closed",)),
    "unbuffered": noisy("""
PATCH
a = Noisy('a global')
print('end', end='')
""", outputs=EVERY, options=("-u",)),
    "verbose about resources": Ending("""
import os, socket
PATCH
out = open(os.dup(1), 'w'); out.write('held\\n')
raw = open(os.dup(1), 'wb', 0)
""", options=("-X", "dev")),
}
