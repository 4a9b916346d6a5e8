# run: -m dhagapatch
"""Threads that were told to end are not counted for as long as the one that told them runs on, as natively."""

import pickle
import queue
import threading

told = queue.SimpleQueue()
for count in (threading.active_count, lambda: len(threading.enumerate())):
    thread = threading.Thread(target=told.get)
    thread.start()
    assert count() == 2
    told.put(None)
    assert count() == 1, threading.enumerate()
    thread.join()

# one that waits for something else after that is still there
more = queue.SimpleQueue()
thread = threading.Thread(target=lambda: (told.get(), more.get()))
thread.start()
told.put(None)
assert threading.active_count() == 2 and threading.enumerate() == [threading.main_thread(), thread]
more.put(None)
while threading.active_count() > 1:
    pass
thread.join()

# found by name, as the real ones are
for function in (threading.active_count, threading.enumerate):
    assert pickle.loads(pickle.dumps(function)) is function and function.__module__ == "threading"

# nor are native threads of the runtime, whatever they are asked
import dhagapatch

asked, go_on = threading.Event(), threading.Event()


def asks():
    threading.current_thread()  # makes a dummy
    asked.set()
    return go_on.wait(10)


thread = threading.Thread(target=dhagapatch.offload, args=(asks,))
thread.start()
assert asked.wait(10)
assert threading.active_count() == 2 and threading.enumerate() == [threading.main_thread(), thread], threading.enumerate()
go_on.set()
thread.join()
