"""What the reference counts say nobody else holds is not searched for: whatever a search for all would find is found without."""

import ast
import subprocess
import sys

PROGRAM = """
import asyncio, collections, concurrent.futures, functools, http.server, logging.handlers, multiprocessing.pool, os, queue
import select, selectors, signal, socket, socketserver, ssl, subprocess, sys, tempfile, threading, time, urllib.request
from os import read, waitpid
from socket import getaddrinfo
from time import sleep

import dhagapatch
from dhagapatch.monkey import rebind

if sys.argv[1] == "all":
    rebind._Rebinder._held_by_others = lambda self, targets, namespaces: targets


class Holds:
    __slots__ = ("slot",)
    write = os.write
    later = staticmethod(os.close)


def default(call=os.lockf, *, other=os.dup2):
    return call, other


def closure():
    wait = os.wait
    return lambda: wait


kept = closure()
holds = Holds()
holds.slot = os.fork
table = {"system": os.system, "deep": [{"waitid": os.waitid}]}
names = [socket.gethostbyname, select.poll, os.readv]
group = {os.writev}
turn = collections.deque([os.sendfile])
partial = functools.partial(signal.pause)
fixed = (os.preadv, threading.Lock)
bound = sleep
report = dhagapatch.patch_all()
places = [(one.what, one.holder, one.name) for one in report.rebound]
print(sorted(places), sorted((one.what, one.module or "", one.name) for one in report.left), sep="\\n")
"""


def told(what):
    done = subprocess.run([sys.executable, "-c", PROGRAM, what], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return [ast.literal_eval(line) for line in done.stdout.splitlines()]


counted, searched = told("counted"), told("all")
for some, every in zip(counted, searched, strict=True):
    assert some == every, (set(some) ^ set(every), some, every)
places = counted[0]
for what in ("write", "close", "lockf", "dup2", "wait", "fork", "system", "waitid", "poll", "writev", "sendfile", "pause"):
    assert any(name.rpartition(".")[2] == what and not holder.startswith("module") for name, holder, _ in places), (what, places)
