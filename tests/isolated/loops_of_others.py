# run: -m dhagapatch
"""A loop that waits in C hosts the hub by itself, whichever way it is run; what its coroutines start as threads are dhagas."""

import asyncio
import os
import signal
import threading
import time
import warnings

import uvloop

import dhagapatch
from dhagapatch import in_dhaga, run_on


class Other(uvloop.loop.Loop, asyncio.AbstractEventLoop):  # of a class that nobody knows
    pass


def busy(ticks, ended):
    while not ended.is_set():
        time.sleep(0.001)
        ticks.append(threading.get_ident())


async def main():
    ticks, turns, ended = [], 0, threading.Event()
    thread = threading.Thread(target=busy, args=(ticks, ended))
    thread.start()
    assert await asyncio.to_thread(time.sleep, 0.02) is None
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        await asyncio.sleep(0.001)
        turns += 1
    assert thread.ident in {dhaga.ident for dhaga in dhagapatch.get_hub().dhagas}, "it is a native thread"
    ended.set()
    while thread.is_alive():
        await asyncio.sleep(0.001)
    # each as often as the other, whatever the machine does meanwhile
    assert turns > 20 and len(ticks) > turns / 3, (len(ticks), turns)
    return "ended"


async def at_once():
    return await in_dhaga(lambda: (time.sleep(0.01), "in its first step")[1])


def forever(loop):
    task = loop.create_task(main())
    task.add_done_callback(lambda _: loop.stop())
    loop.run_forever()
    return task.result()


for kind in (uvloop.new_event_loop, Other):
    with asyncio.Runner(loop_factory=kind) as runner:
        assert runner.run(main()) == runner.run(main()) == "ended"
        assert runner.run(at_once()) == "in its first step"
    assert dhagapatch.get_hub().host is None or dhagapatch.get_hub().host.has_ended()
assert uvloop.run(main()) == "ended"
loop = uvloop.new_event_loop()
assert loop.run_until_complete(main()) == forever(loop) == "ended"
loop.close()
assert dhagapatch.get_hub().host is None

# in a thread that is a dhaga; the others run on when it has ended
told = []
thread = threading.Thread(target=lambda: told.append(uvloop.run(main())))
thread.start()
thread.join()
assert told == ["ended"]


# who asks for it gets what can close it
async def asked():
    host = run_on()
    try:
        run_on()
    except RuntimeError as error:
        assert "already" in str(error)
    else:
        raise AssertionError
    host.close()
    assert dhagapatch.get_hub().host is None


async def asked_later():
    await asyncio.sleep(0.01)
    await asked()


uvloop.run(asked())
uvloop.run(asked_later())


# a second one on the same OS thread is told of
async def outer():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        await in_dhaga(lambda: uvloop.run(asyncio.sleep(0.01)))
    assert any(issubclass(one.category, dhagapatch.PatchWarning) and "hosts the dhagas" in str(one.message) for one in caught)


uvloop.run(outer())


# a signal's handler runs soon, however much dhagas do
async def signalled():
    handled, loop = [], asyncio.get_running_loop()
    came = loop.create_future()
    signal.signal(signal.SIGUSR1, lambda *_: (handled.append(1), came.done() or came.set_result(None)))
    ended = threading.Event()
    threads = [threading.Thread(target=busy, args=([], ended)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for _ in range(100):
        came = loop.create_future()
        os.kill(os.getpid(), signal.SIGUSR1)
        await asyncio.wait_for(came, 5)
    ended.set()
    return len(handled)


assert uvloop.run(signalled()) == 100

# native threads have a loop of their own, and no dhagas
done = []
dhagapatch.original("_thread", "start_new_thread")(lambda: done.append(uvloop.run(asyncio.sleep(0.01, "native"))), ())
while not done:
    time.sleep(0.001)
assert done == ["native"]
dhagapatch.unpatch_all()
assert "run_forever" not in vars(uvloop.Loop)
assert uvloop.run(asyncio.sleep(0.01, "unpatched")) == "unpatched"
