"""Standard streams over pipes, a shared makefile, openers that give pipes: nothing of it stops the other dhagas."""

import os
import socket
import subprocess
import sys
import threading
import time

PROGRAM = """
import os, sys, threading, time
beats = []
def heart():
    while True:
        beats.append(time.monotonic()); time.sleep(0.005)
threading.Thread(target=heart, daemon=True).start()
time.sleep(0.05)
assert sys.stdout is sys.__stdout__ and sys.stdout.name == "<stdout>" and sys.stdout.buffer.raw.name == "<stdout>"
for n in range(3000):
    print("x" * 99)          # far more than a pipe holds; the reader begins late
sys.stdout.flush()
print("y" * 200_000, file=sys.stderr)
line = input()
gap = max(after - before for before, after in zip(beats, beats[1:]))
print("longest gap", gap < 0.1, len(beats) > 60, line)
"""


def slow_reader(*options):
    child = subprocess.Popen(
        [sys.executable, *options, "-m", "dhagapatch", "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(0.4)
    out = [child.stdout.readline() for _ in range(3000)]
    time.sleep(0.2)
    error = child.stderr.read(200_001)
    time.sleep(0.1)
    child.stdin.write("a line\n")
    child.stdin.close()
    rest = child.stdout.read()
    assert out == ["x" * 99 + "\n"] * 3000 and set(error) == {"y", "\n"}, child.stderr.read()
    assert rest == "longest gap True True a line\n", rest
    assert child.wait(10) == 0


readers = [threading.Thread(target=slow_reader, args=options) for options in ((), ("-u",))]
for reader in readers:
    reader.start()
for reader in readers:
    reader.join()
early = threading.current_thread()
import dhagapatch

dhagapatch.patch_all()

# both halves of one file object, each in a dhaga of its own
left, right = socket.socketpair()
file = left.makefile("rwb")
got = []
thread = threading.Thread(target=lambda: got.append(file.readline()))
thread.start()
time.sleep(0)
file.write(b"question\n")
file.flush()
assert right.recv(100) == b"question\n"
right.sendall(b"answer\n")
thread.join(5)
assert got == [b"answer\n"], got

# what an opener gives may be a pipe, whatever the name says
reader, writer = os.pipe()
ends = {"in": reader, "out": writer}
with open("in", opener=lambda path, flags: ends[path]) as source, open("out", "w", opener=lambda path, flags: ends[path]) as sink:
    assert source.name == "in" and sink.buffer.raw.name == "out" and source.fileno() == reader
    thread = threading.Thread(target=lambda: got.append(source.readline()))
    thread.start()
    time.sleep(0)
    print("through the pipe", file=sink, flush=True)
    thread.join(5)
    assert got[1:] == ["through the pipe\n"], got

# standard input that becomes a pipe after the patch
reader, writer = os.pipe()
os.dup2(reader, 0)
thread = threading.Thread(target=lambda: got.append(sys.stdin.readline()))
thread.start()
time.sleep(0)
os.write(writer, b"late\n")
thread.join(5)
assert got[2:] == ["late\n"], got
