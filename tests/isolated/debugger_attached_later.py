"""A client attaches to a program that runs, and listens for it: conditions, pauses, exceptions and variables are as natively."""

import re
import tempfile
import threading
import traceback
from pathlib import Path

from shared.dap import Debugger

PROGRAM = """\
import sys
import threading
import time

order = sys.argv[2:]
if "first" in order:
    import dhagapatch

    dhagapatch.patch_all()
import debugpy

ended = threading.Event()
asked = {"raise": None}


def tick():
    while not ended.is_set():
        time.sleep(0.002)
        ticked = 1  # TICK


def count(number):
    while not ended.is_set():
        number += 1
        doubled = number * 2  # COUNT
        time.sleep(0.002)


def fail(kind):
    text = "no " + kind
    raise KeyError(text)  # RAISE


def careless():
    while asked["raise"] is None:
        time.sleep(0.002)
    try:
        fail("caught")
    except KeyError:
        caught = True
    if asked["raise"] == "uncaught":
        fail("uncaught")


def begin(name, work, *args):
    thread = threading.Thread(target=work, args=args, name=name)
    thread.start()
    return thread


threading.excepthook = lambda args: None
threads = [begin("ticker", tick), begin("one", count, 0), begin("two", count, 0), begin("careless", careless)]
if "later" in order:
    import dhagapatch

    dhagapatch.patch_all()
_, port = debugpy.listen(("127.0.0.1", 0))
with open(int(sys.argv[1]), "w") as client:
    print(port, file=client)
debugpy.wait_for_client()
for thread in threads:
    thread.join()
"""
PATH = str(Path(tempfile.mkdtemp()) / "program.py")
Path(PATH).write_text(PROGRAM)
LINE = {line.rpartition("# ")[2]: number for number, line in enumerate(PROGRAM.splitlines(), 1) if "# " in line}


class Session:
    """What is seen of the program, in the order in which it is asked for."""

    def __init__(self, debugger, seen):
        self.debugger = debugger
        self.seen = seen
        self.thread = 0

    def names(self):
        return {one["id"]: re.sub(r"\d+", "N", one["name"]) for one in self.debugger.ask("threads")["threads"]}

    def stopped(self):
        stop = self.debugger.event("stopped")
        self.thread = stop["threadId"]
        at = [(frame["name"], frame["line"]) for frame in self.debugger.frames(self.thread) if frame["source"]["path"] == PATH]
        self.seen.append((stop["reason"], self.names()[self.thread], at))

    def exception(self):
        info = self.debugger.ask("exceptionInfo", threadId=self.thread)
        # behind the name is where natively the thread has gone on to, which is not the program's
        self.seen.append((info["exceptionId"].split()[0], info["description"], info["breakMode"]))

    def frame(self):
        return self.debugger.frames(self.thread)[0]["id"]

    def value(self, expression):
        result = self.debugger.ask("evaluate", expression=expression, frameId=self.frame(), context="repl")["result"]
        self.seen.append((expression, result))

    def go(self, how="continue"):
        self.debugger.ask(how, threadId=self.thread)
        self.stopped()

    def break_at(self, name="", **conditions):
        wanted = [{"line": LINE[name], **conditions}] if name else []
        self.debugger.ask("setBreakpoints", source={"path": PATH}, breakpoints=wanted)

    def walk(self):
        debugger = self.debugger
        debugger.begin(PATH, [])
        # a condition, asked in each of the threads that come by
        self.break_at("COUNT", condition="threading.current_thread().name == 'two' and number % 5 == 2")
        self.stopped()
        self.seen.append(sorted(self.names().values()))
        [scope] = [one for one in debugger.ask("scopes", frameId=self.frame())["scopes"] if one["name"] == "Locals"]
        reference = scope["variablesReference"]
        self.seen.append(debugger.ask("setVariable", variablesReference=reference, name="number", value="99002")["value"])
        self.go("next")
        self.value("doubled")
        self.go("next")  # over a wait
        self.value("number, ended.wait(0.01)")
        self.go()
        self.value("number")
        # a pause of a thread that waits
        self.break_at()
        ticker = next(thread for thread, name in self.names().items() if name == "ticker")
        debugger.ask("continue", threadId=self.thread)
        debugger.ask("pause", threadId=ticker)
        stop = debugger.event("stopped")
        self.thread = stop["threadId"]
        # it says of one thread, whichever, that it stopped
        self.seen.append((stop["reason"], {one["name"] for one in debugger.frames(ticker)} >= {"tick"}))
        # exceptions, where they are raised, and where nobody catches them
        debugger.ask("setExceptionBreakpoints", filters=["raised"])
        self.break_at("TICK", hitCondition="3")
        self.go()
        self.value("asked.update({'raise': 'uncaught'})")
        self.break_at()
        self.go()
        self.exception()
        self.value("text")
        debugger.ask("setExceptionBreakpoints", filters=["uncaught"])
        self.go()
        self.exception()
        self.value("ended.set()")
        debugger.ask("continue", threadId=self.thread)
        debugger.event("terminated")
        self.seen.append(debugger.child.wait(10))


def run(program, seen):
    try:
        with Debugger.attached(*program) as debugger:
            Session(debugger, seen).walk()
    except BaseException:
        seen.append(traceback.format_exc())


def main():
    programs = {
        "natively": [PATH, "TELL"], "first": [PATH, "TELL", "first"], "later": [PATH, "TELL", "later"],
        "launched": ["-m", "dhagapatch", PATH, "TELL"],
    }  # fmt: skip
    seen = {name: [] for name in programs}
    threads = [threading.Thread(target=run, args=(program, seen[name])) for name, program in programs.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    natively = seen["natively"]
    assert natively[-1] == 0, natively
    for name in programs:
        differences = [f"  {one}\nnatively\n  {two}" for one, two in zip(seen[name], natively) if one != two]
        assert seen[name] == natively, "\n".join([name, *differences])


main()
