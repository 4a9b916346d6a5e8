"""A module imported a second time, as a module object of its own, is patched like the first; unpatching restores both."""

import importlib.machinery
import sys
import threading

import dhagapatch

import _queue
import queue

real = id(_queue.SimpleQueue)  # a name would be rebound
dhagapatch.patch_all()
assert id(_queue.SimpleQueue) != real


def afresh(*names):
    kept = {name: sys.modules.pop(name) for name in names}
    made = [__import__(name) for name in names]
    sys.modules.update(kept)
    return made


for _ in range(2):
    second, second_queue = afresh("_queue", "queue")
    assert second is not _queue
    assert second.Empty is not queue.Empty
    waiting = second_queue.SimpleQueue()
    thread = threading.Thread(target=lambda: waiting.put(1))  # noqa: B023
    threading.Timer(0.05, thread.start).start()
    assert waiting.get(timeout=10) == 1
    try:
        waiting.get_nowait()
    except second.Empty:
        pass

# what the import system knows of a module does not tell that it was patched
import bdb as late

assert type(late.__loader__) is type(late.__spec__.loader) is importlib.machinery.SourceFileLoader, late.__loader__

dhagapatch.unpatch_all()
assert _queue.SimpleQueue is queue.SimpleQueue
assert id(_queue.SimpleQueue) == real
assert second.SimpleQueue is second_queue.SimpleQueue
assert "dhagapatch" not in repr(second.SimpleQueue.__mro__)
