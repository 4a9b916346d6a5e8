# run: -m dhagapatch
"""Trace and profile functions belong to the dhaga that set them, also across its waits and after its end."""

import os
import subprocess
import sys
import threading
import time

traced = []
profiled = []


def tracer(frame, event, arg):
    traced.append(frame.f_code.co_name)
    return tracer


def profiler(frame, event, arg):
    profiled.append(frame.f_code.co_name)


def in_a_thread():
    time.sleep(0.01)
    after_the_wait()


def after_the_wait():
    pass


def in_main():
    pass


threading.settrace(tracer)
threading.setprofile(profiler)
thread = threading.Thread(target=in_a_thread)
thread.start()
threading.settrace(None)
threading.setprofile(None)
while thread.is_alive():
    in_main()
    assert sys.gettrace() is None and sys.getprofile() is None
    time.sleep(0.002)
thread.join()
in_main()
assert sys.gettrace() is None and sys.getprofile() is None
assert "after_the_wait" in traced and "in_main" not in traced, traced
assert "after_the_wait" in profiled and "in_main" not in profiled, profiled

# and without a profile function; the first has made the hub carry both from then on
alone = """
import sys, threading, time
traced = []

def tracer(frame, event, arg):
    traced.append(frame.f_code.co_name)
    return tracer

def work():
    sys.settrace(tracer)
    time.sleep(0.01)
    after()

def after(): pass
def in_main(): pass

thread = threading.Thread(target=work)
thread.start()
while thread.is_alive():
    in_main()
    assert sys.gettrace() is None
    time.sleep(0.002)
assert "after" in traced and "in_main" not in traced, traced
"""
subprocess.run([sys.executable, "-m", "dhagapatch", "-c", alone], check=True, timeout=15)

# a profile function that one thread has set by hand, also beside those of others
BY_HAND = """
import collections, sys, threading, time
seen = collections.Counter()

def profiler(frame, event, arg):
    if event == "call":
        seen[frame.f_code.co_name, threading.current_thread() is threading.main_thread()] += 1

def in_thread(): time.sleep(0)
def by_itself(): sys.setprofile(profiler); time.sleep(0); after()
def after(): pass
def in_main(): pass

for everywhere in (False, True):
    seen.clear()
    threading.setprofile(profiler if everywhere else None)
    sys.setprofile(profiler)
    for target in (in_thread, in_thread, by_itself, in_thread):
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()
        in_main()
    kept = sys.getprofile() is profiler
    sys.setprofile(None)
    print(kept, sorted(item for item in seen.items() if item[0][0] in ("in_thread", "by_itself", "after", "in_main")))
"""
native, green, python = (
    subprocess.run([sys.executable, *words, "-c", BY_HAND], check=True, timeout=15, capture_output=True, text=True,
                   env={**os.environ, **more}).stdout
    for words, more in (((), {}), (("-m", "dhagapatch"), {}), (("-m", "dhagapatch"), {"DHAGAPATCH_SPEEDUPS": "0"}))
)  # fmt: skip
assert native.count("True [") == 2 and native == green == python, f"{native}\n{green}\n{python}"
