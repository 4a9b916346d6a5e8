"""A debugger starts the program, which is patched, or run by the launcher: what it shows is as natively, in both IDEs' order."""

import re
import tempfile
import threading
import traceback
from pathlib import Path

from shared.dap import Debugger

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

    def __init__(self, debugger):
        self.debugger = debugger
        self.seen = []
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


def run(start, program, told):
    try:
        with start(*program) as debugger:
            session = Session(debugger)
            told[start.__name__, program[-1]] = session.seen
            session.walk()
    except BaseException:
        told[start.__name__, program[-1]].append(traceback.format_exc())


told = {}
runs = [
    (start, program)
    for start in (Debugger.as_vscode, Debugger.as_pycharm)
    for program in ([PATH], [PATH, "patch"], ["-m", "dhagapatch", PATH, "launched"])
]
threads = [threading.Thread(target=run, args=(start, program, told)) for start, program in runs]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
native = told["as_vscode", PATH]
assert native[-1] == 0, native
for name, seen in told.items():
    differences = [f"  {one}\nnatively\n  {two}" for one, two in zip(seen, native) if one != two]
    assert seen == native, "\n".join([str(name), *differences])
