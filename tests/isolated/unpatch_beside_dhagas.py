"""unpatch_all() while dhagas run: what they call holds nobody up any more, and when they have ended nothing of ours is left."""

import os
import signal
import threading
import time

import dhagapatch
from dhagapatch import _real
from dhagapatch.green import timeslice
from dhagapatch.testing import Watchdog

watchdog = Watchdog(15)
SIGNAL = signal.SIGRTMAX - 5
before = signal.getsignal(SIGNAL)


def sleeps(stop):
    while not stop:
        time.sleep(0)


def sleeps_a_little(stop):
    while not stop:
        time.sleep(0.001)


def sleeps_in_a_block(stop):
    with threading.Lock():
        while not stop:
            time.sleep(0)


def computes(stop):
    while not stop:
        pass


def unpatch_elsewhere():
    done = []
    _real.start_new_thread(lambda: (dhagapatch.unpatch_all(), done.append(1)), ())
    return done


def sliced():
    return timeslice._slices is not None


def wait_until(done):
    """By a lock of the patch's time."""
    while not done():
        kept[1].acquire(timeout=0.01)


for begin in (sleeps, sleeps_a_little, sleeps_in_a_block, computes):
    dhagapatch.patch_all()
    lock = threading.Lock()  # a variable of this module's: adopted and given back; the others are kept by a tuple
    kept = (threading.Lock(), threading.Lock(), threading.Condition(threading.Lock()))
    for one in (lock, *kept[:2]):
        one.acquire()
    stop, ran, stop_patched = [], [], []
    threads = [threading.Thread(target=begin, args=(stop,), daemon=True)]
    if begin is not computes:
        threads[0].start()
        time.sleep(0.01)

    def waits(kept=kept, ran=ran):
        time.sleep(0.02)
        with kept[0]:
            ran.append(1)

    threading.Thread(target=waits, daemon=True).start()
    time.sleep(0)
    if begin is computes:

        def unpatches_and_computes(stop=stop):
            dhagapatch.unpatch_all()  # by a dhaga
            computes(stop)

        threads[0]._target = unpatches_and_computes
        threads[0].start()
        time.sleep(0)
    else:
        dhagapatch.unpatch_all()
    for one in (lock, kept[0]):
        began = time.monotonic()
        assert not one.acquire(timeout=0.05)
        assert time.monotonic() - began < 5
    with kept[2]:
        assert not kept[2].wait(0.02)
    assert sliced()
    kept[0].release()
    wait_until(lambda ran=ran: ran)  # one that was parked goes on
    assert threading.current_thread() is threading.main_thread()
    stop.append(1)
    wait_until(lambda threads=threads: not threads[0].is_alive())
    wait_until(lambda: not sliced())
    assert signal.getsignal(SIGNAL) == before

# from a native thread
dhagapatch.patch_all()
kept = (threading.Lock(),)
kept[0].acquire()
stop = []
thread = threading.Thread(target=sleeps, args=(stop,), daemon=True)
thread.start()
time.sleep(0.01)
done = unpatch_elsewhere()
while not done:
    assert not kept[0].acquire(timeout=0.01)
assert not kept[0].acquire(timeout=0.05)

# a forked child has none of them
pid = os.fork()
if not pid:
    os._exit(sliced() or signal.getsignal(SIGNAL) != before)
assert os.waitpid(pid, 0)[1] == 0

# patched again, time slices are what the patch says
dhagapatch.patch_all(timeslice=0)
assert not sliced()
stop.append(1)
thread.join()
dhagapatch.unpatch_all()
assert not sliced()
assert threading.enumerate() == [threading.main_thread()]

# another OS thread's hub goes on with its dhagas
dhagapatch.patch_all()
begun, ended = _real.allocate_lock(), []
begun.acquire()


def naps(number):
    for _ in range(5):
        time.sleep(0.005)
    ended.append(number)


def has_a_hub():
    dhagapatch.get_hub()
    threads = [threading.Thread(target=naps, args=(number,)) for number in range(3)]
    for one in threads:
        one.start()
    time.sleep(0.01)
    begun.release()
    for one in threads:
        one.join()
    ended.append("all")


_real.start_new_thread(has_a_hub, ())
begun.acquire()
dhagapatch.unpatch_all()
while ended[-1:] != ["all"]:
    time.sleep(0.001)
assert sorted(ended[:-1]) == [0, 1, 2], ended
