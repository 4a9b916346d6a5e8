"""`sys.remote_exec` and `python -m asyncio ps` (3.14) find in a patched process what they find in one with threads."""

import os
import re
import subprocess
import sys
import tempfile

PROGRAM = """
import asyncio, threading
over = threading.Event()
async def sleeper():
    while not over.is_set():
        await asyncio.sleep(0.01)
async def both():
    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper(), name="one")
        group.create_task(sleeper(), name="two")
threads = [threading.Thread(target=lambda: asyncio.run(both())) for _ in range(2)]
for thread in threads: thread.start()
print("ready", flush=True)
over.wait(15)
for thread in threads: thread.join()
print("over", over.is_set())
"""
SCRIPT = """
import threading, time
assert threading.current_thread() is threading.main_thread()
print("the script runs", threading.active_count(), flush=True)
import __main__
threading.Timer(0.01, __main__.over.set).start()
"""


def look(folder, *launcher):
    """What is seen of the tasks, and what the program says; None where no process may look into another."""
    program, script = os.path.join(folder, "program.py"), os.path.join(folder, "script.py")
    for path, source in ((program, PROGRAM), (script, SCRIPT)):
        with open(path, "w") as file:
            file.write(source)
    child = subprocess.Popen([sys.executable, *launcher, program], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "ready\n"
        try:
            sys.remote_exec(child.pid, script)
        except (PermissionError, RuntimeError):
            return None
        said = [child.stdout.readline()] if launcher else []  # natively a thread that waits runs it when its call is over
        if not launcher:
            child.kill()
        else:
            said += child.stdout.read().splitlines()
        return said
    finally:
        child.kill()
        child.wait()


def tasks(folder, *launcher):
    """The names of the tasks that sleep, and are waited for."""
    program = os.path.join(folder, "program.py")
    child = subprocess.Popen([sys.executable, *launcher, program], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "ready\n"
        for _ in range(20):  # it may look while things change
            done = subprocess.run([sys.executable, "-m", "asyncio", "ps", str(child.pid)], capture_output=True, text=True)
            found = sorted(re.findall(r"\b(one|two) .*\bsleeper\b.*\bboth\b", done.stdout))
            if len(found) == 4:
                break
        return found
    finally:
        child.kill()
        child.wait()


if hasattr(sys, "remote_exec"):
    with tempfile.TemporaryDirectory() as folder:
        if look(folder) is not None:
            said = look(folder, "-m", "dhagapatch")
            assert said == ["the script runs 3\n", "over True"], said
            # 3.14 itself was seen to find none of those that run in threads
            found = tasks(folder, "-m", "dhagapatch")
            assert found == ["one", "one", "two", "two"], found
