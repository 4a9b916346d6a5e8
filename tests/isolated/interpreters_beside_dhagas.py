"""Other interpreters run beside dhagas, as beside threads: what runs there holds nobody up, and its errors come back."""

import _thread
import sys
import threading
import time

import dhagapatch

dhagapatch.patch_all()

ticks = [0]
ended = threading.Event()


def tick():
    while not ended.is_set():
        ticks[0] += 1
        time.sleep(0.002)


def run(function, *args):
    ticks[0] = 0
    try:
        return function(*args)
    finally:
        assert ticks[0] >= 10, (function, args, ticks)


WAIT = "import time; time.sleep(0.2)"
threading.Thread(target=tick, daemon=True).start()
if sys.version_info >= (3, 13):  # until 3.12 one ends in no other thread than it ran in
    import _interpreters as interpreters

    one = interpreters.create()
    run(interpreters.run_string, one, WAIT)
    run(interpreters.exec, one, WAIT)
    assert run(interpreters.exec, one, f"{WAIT}; 1 / 0").type.__name__ == "ZeroDivisionError"
    interpreters.destroy(one)

    def received_later(function, *args):
        while True:
            try:
                return function(*args)
            except (_interpqueues.QueueError, _interpchannels.ChannelEmptyError):
                pass  # nothing that waits: the others must have their turn all the same

    import _interpchannels
    import _interpqueues

    channel = _interpchannels.create(3)  # what of an interpreter that has gone is shown as a placeholder
    threading.Timer(0.2, received_later, (_interpchannels.recv, channel)).start()
    run(_interpchannels.send, channel, b"x")  # until it was received
    threading.Timer(0.2, _interpchannels.send, (channel, b"x"), {"blocking": False}).start()
    run(received_later, _interpchannels.recv, channel)
if sys.version_info >= (3, 14):
    from concurrent import interpreters

    queue = interpreters.create_queue(1)
    threading.Timer(0.2, queue.put, ("x",)).start()
    assert run(received_later, queue.get_nowait) == "x"
    from concurrent.futures import InterpreterPoolExecutor

    with InterpreterPoolExecutor(2) as pool:
        run(list, pool.map(time.sleep, [0.2] * 4))
        assert type(pool.submit(int, "x").exception()) is ValueError
        assert pool.submit(_thread._get_name).result().startswith("InterpreterPool")
ended.set()
