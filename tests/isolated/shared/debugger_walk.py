"""A walk through a program under a debugger, which is patched, or run by the launcher: what is shown is as natively."""

import re
import tempfile
import threading
import traceback
from pathlib import Path

PROGRAM = """\
import _thread
import socket
import sys
import threading
import time

if "patch" in sys.argv:
    import dhagapatch

    dhagapatch.patch_all()
ended = threading.Event()


def tick():
    while not ended.is_set():
        time.sleep(0.002)


def work(number):
    time.sleep(0.01)
    doubled = number * 2  # WORK
    time.sleep(0.01)
    tripled = number * 3
    return doubled + tripled


def raw(lock):
    time.sleep(0.01)
    name = 1  # RAW
    lock.release()
    return name


socket.getaddrinfo("localhost", 80)  # on a native thread, which nobody is shown
threading.Thread(target=tick, name="ticker").start()
for name in ("one", "two"):
    thread = threading.Thread(target=work, args=(7,), name=name)
    thread.start()
    thread.join()
lock = _thread.allocate_lock()
lock.acquire()
threads = _thread._count()
_thread.start_new_thread(raw, (lock,))
lock.acquire()
while _thread._count() > threads:
    time.sleep(0.001)
del thread
total = work(1)  # MAIN
ended.set()
"""
PATH = str(Path(tempfile.mkdtemp()) / "program.py")
Path(PATH).write_text(PROGRAM)
LINE = {line.rpartition("# ")[2]: number for number, line in enumerate(PROGRAM.splitlines(), 1) if "# " in line}


class Session:
    """A walk through the program, and what was seen on the way."""

    def __init__(self, debugger, seen):
        self.debugger = debugger
        self.seen = seen
        self.thread = None

    def stopped(self, whole=False):
        stop = self.debugger.event("stopped")
        self.thread = stop["threadId"]
        names = {one["id"]: re.sub(r"\d+", "N", one["name"]) for one in self.debugger.ask("threads")["threads"]}
        at = [(frame["name"], frame["line"]) for frame in self.debugger.frames(self.thread) if frame["source"]["path"] == PATH]
        self.seen.append((stop["reason"], names[self.thread], at))
        if whole:
            self.seen.append(sorted(names.values()))
            for thread, name in sorted(names.items(), key=lambda item: item[1]):
                frames = self.debugger.frames(thread)
                if name == "ticker":
                    self.seen.append((name, {frame["name"] for frame in frames} & {"tick"}))
                elif name == "MainThread":
                    self.seen.append((name, [frame["name"] for frame in frames if "dhagapatch" in frame["source"]["path"]]))
        return stop

    def value(self, expression):
        frame = self.debugger.frames(self.thread)[0]["id"]
        answer = self.debugger.ask("evaluate", expression=expression, frameId=frame, context="repl")
        self.seen.append((expression, answer["result"]))

    def go(self, how, whole=False):
        self.debugger.ask(how, threadId=self.thread)
        self.stopped(whole)

    def walk(self):
        debugger = self.debugger
        debugger.begin(PATH, [LINE["WORK"], LINE["RAW"], LINE["MAIN"]])
        self.stopped(whole=True)
        self.value("number + 1")
        self.value("time.sleep(0.02) or threading.current_thread().name")  # it waits
        self.go("next")
        self.value("doubled")
        self.go("next")  # over a call that waits
        self.go("next")
        self.go("continue", whole=True)  # the next thread, which may run where the last one did
        self.value("number")
        self.go("continue", whole=True)
        debugger.breakpoints(PATH, [LINE["MAIN"]])
        self.go("continue", whole=True)
        self.go("stepIn")
        self.go("next")
        self.go("stepOut")
        debugger.breakpoints(PATH, [])
        debugger.ask("continue", threadId=self.thread)
        debugger.event("terminated")
        self.seen.append(debugger.child.wait(10))


def _run(start, program, seen):
    try:
        with start(*program) as debugger:
            Session(debugger, seen).walk()
    except BaseException:
        seen.append(traceback.format_exc())


def compare(start):
    """Walk natively and in both ways to be patched, with a debugger that `start` starts; the same must be seen."""
    programs = {"natively": [PATH], "patched": [PATH, "patch"], "launched": ["-m", "dhagapatch", PATH, "launched"]}
    seen = {name: [] for name in programs}
    threads = [threading.Thread(target=_run, args=(start, program, seen[name])) for name, program in programs.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    natively = seen["natively"]
    assert natively[-1] == 0, natively
    for name in programs:
        differences = [f"  {one}\nnatively\n  {two}" for one, two in zip(seen[name], natively) if one != two]
        assert seen[name] == natively, "\n".join([name, *differences])
