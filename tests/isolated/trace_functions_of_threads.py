# run: -m dhagapatch
"""Trace and profile functions belong to the dhaga that set them, also across its waits and after its end."""

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
