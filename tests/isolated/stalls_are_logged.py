# run: -m dhagapatch --stall 0.1 --timeslice 0
"""A stall is logged while it lasts, once for each place, with its time at the end; in each hub, and in a forked child."""

import asyncio
import logging
import os
import subprocess
import sys
import threading
import time

import dhagapatch
from dhagapatch import _real
from dhagapatch.inspect.stalls import longest_stalls

records = []


class Keep(logging.Handler):
    def emit(self, record):
        records.append((time.monotonic(), record.getMessage(), record.threadName, record.levelname))


logger = logging.getLogger("dhagapatch.stall")
logger.addHandler(Keep())
logger.propagate = False


def held(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    return time.monotonic()


def told(place, count=2, limit=5):
    """The records about a place, when there are so many.  On a busy machine others may have been stalled too."""
    until = time.monotonic() + limit
    while True:
        found = [record for record in records if f", in {place}" in record[1] or f" in {place}" in record[1]]
        if len(found) >= count or time.monotonic() > until:
            records.clear()
            return found
        time.sleep(0.01)


def total(place):
    """The time of all stalls in a function, in seconds."""
    return sum(stall.total for stall in longest_stalls() if stall.place.function.endswith(place))


def in_c(seconds):
    _real.sleep(seconds)
    return time.monotonic()


ends = []
for work, place in ((held, "held"), (in_c, "in_c")):
    thread = threading.Thread(target=lambda work=work: ends.append(work(0.8)), name="hog")
    thread.start()
    thread.join()
    found = told(place)
    assert len(found) == 2, (found, place)
    (when, text, name, level), (after, end, *_) = found
    assert level == "WARNING" and name == "hog" and when < ends[-1], (found, ends)  # during the stall
    assert text.startswith("hog has held the OS thread for 0.") and f"in {place}" in text and "/dhagapatch/" not in text, text
    assert "lambda" in text, text
    assert end.startswith("hog held the OS thread for ") and end.endswith(f"in {place}") and after >= ends[-1], end
    assert 0.6 < float(end.split()[6]) < 1.5, end

# once for each place; and those below the limit not at all
held(0.5)
for _ in range(20):
    held(0.03)
    time.sleep(0)
assert told("held", 1, 0.5) == []

# one that runs most of the time, but lets others run now and then
def works_and_waits():
    until = time.monotonic() + 0.8
    while time.monotonic() < until:
        pause = time.monotonic() + 0.02
        while time.monotonic() < pause:
            pass
        time.sleep(0)


works_and_waits()

# nobody holds the thread: others have their turn all the time
stop = threading.Event()


def spins():
    while not stop.is_set():
        time.sleep(0)


threads = [threading.Thread(target=spins) for _ in range(50)]
for thread in threads:
    thread.start()
time.sleep(0.7)
stop.set()
for thread in threads:
    thread.join()


def brief():
    time.sleep(0)


until = time.monotonic() + 0.7
while time.monotonic() < until:  # threads that come and go, at the same places in memory
    thread = threading.Thread(target=brief)
    thread.start()
    thread.join()
time.sleep(0.2)
# a busy machine may have made a short one of any
assert total("works_and_waits") < 0.35 and total("spins") < 0.35 and total("brief") < 0.35


# among many
def waits():
    stop.wait(60)


stop.clear()
crowd = [threading.Thread(target=waits) for _ in range(300)]
for thread in crowd:
    thread.start()


def held_by_one_of_many():
    held_here = time.monotonic() + 0.8
    while time.monotonic() < held_here:
        pass


thread = threading.Thread(target=held_by_one_of_many, name="one of many")
thread.start()
thread.join()
(_, text, name, _), _ = told("held_by_one_of_many")
assert name == "one of many" and "held_by_one_of_many" in text, text
stop.set()
for thread in crowd:
    thread.join()


# the loop's callbacks
def callback():
    until = time.monotonic() + 0.8
    while time.monotonic() < until:
        pass


async def beside():
    asyncio.get_running_loop().call_soon(callback)
    await asyncio.sleep(0.01)


dhagapatch.await_(beside())
found = told("callback")
assert len(found) == 2 and found[0][1].startswith("a callback of the loop has held") and "in callback" in found[0][1], found


# the watcher is nobody's thread
assert threading.active_count() == 1 and "Dummy" not in str(threading.enumerate()), threading.enumerate()


# another hub
def second_hub():
    dhagapatch.get_hub()
    time.sleep(0.01)

    def held_in_second():
        until = time.monotonic() + 0.8
        while time.monotonic() < until:
            pass

    thread = threading.Thread(target=held_in_second, name="second")
    thread.start()
    thread.join()


_real.start_new_thread(second_hub, ())
found = told("second_hub.<locals>.held_in_second")
assert [one[2] for one in found] == ["second", "second"], found

# after a long idle time; and nobody looks while all wait
before = time.process_time()
time.sleep(1.5)
spent = time.process_time() - before
assert spent < 0.1, spent


def held_after_idling():
    until = time.monotonic() + 0.8
    while time.monotonic() < until:
        pass


held_after_idling()
found = told("held_after_idling")
assert len(found) == 2 and "held_after_idling" in found[0][1], found

# a loop that hosts the hub waits where nobody can see it; dhagas beside it are watched
HOSTED = """
import asyncio, threading, time, dhagapatch
def held_beside():
    until = time.monotonic() + 0.5
    while time.monotonic() < until: pass
async def main():
    dhagapatch.run_on()
    await asyncio.sleep(0.7)
    await dhagapatch.in_dhaga(held_beside)
    await asyncio.sleep(0.3)
asyncio.run(main())
"""
words = [sys.executable, "-m", "dhagapatch", "--stall", "0.1", "--timeslice", "0", "-c", HOSTED]
done = subprocess.run(words, capture_output=True, text=True)
ends = [line for line in done.stderr.splitlines() if " held the OS thread for " in line]
assert done.returncode == 0 and any(line.endswith("in held_beside") for line in ends), done
assert not any(float(line.partition(" for ")[2].split()[0]) > 0.4 for line in ends if not line.endswith("in held_beside")), done

# a forked child
reader, writer = os.pipe()
child = os.fork()
if not child:

    def held_in_child():
        until = time.monotonic() + 0.8
        while time.monotonic() < until:
            pass

    time.sleep(0.01)
    records.clear()
    held_in_child()
    os.write(writer, repr([one[1] for one in told("held_in_child")]).encode())
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
text = os.read(reader, 10000).decode()
assert "held_in_child" in text and "MainThread held the OS thread" in text, text
dhagapatch.patch_all(stall=0)


def held_when_off():
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        pass


held_when_off()
assert told("held_when_off", 1, 0.2) == []
