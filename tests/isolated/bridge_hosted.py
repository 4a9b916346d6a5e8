# run: -m dhagapatch
"""A loop that can't be given our selector hosts the hub: dhagas run beside its tasks, and on their own when it has ended."""

import asyncio
import os
import queue
import selectors
import signal
import socket
import threading
import time

import uvloop
from greenlet import greenlet
from tornado.ioloop import IOLoop

import dhagapatch
from dhagapatch import Timeout, await_, in_dhaga, run_on


def echo_server():
    listener = socket.create_server(("127.0.0.1", 0))

    def echo(connection):
        with connection:
            while data := connection.recv(100):
                connection.sendall(data)

    def serve():
        while True:
            threading.Thread(target=echo, args=listener.accept()[:1], daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()


async def add(left, right):
    await asyncio.sleep(0.001)
    return left + right


def client(address):
    with socket.create_connection(address) as connection:
        for turn in range(10):
            connection.sendall(b"%d" % turn)
            assert connection.recv(10) == b"%d" % turn
            time.sleep(0.001)
    return await_(add(1, 2))


def ends_in_time():
    try:
        with Timeout(0.02):
            queue.Queue().get()
    except TimeoutError:
        return True


async def main(kept):
    loop = asyncio.get_running_loop()
    host = run_on()
    try:
        run_on()
        raise AssertionError
    except RuntimeError as error:
        assert "already" in str(error)
    address = echo_server()
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    ticker = asyncio.ensure_future(tick())
    assert await asyncio.gather(*(in_dhaga(client, address) for _ in range(50))) == [3] * 50
    assert ticks >= 2, "the loop stood still"
    # from the loop to a dhaga and back
    there, back = queue.Queue(), asyncio.Queue()

    def answers():
        while (question := there.get()) is not None:
            loop.call_soon_threadsafe(back.put_nowait, question + 1)

    thread = threading.Thread(target=answers)
    thread.start()
    for number in range(100):
        there.put(number)
        assert await asyncio.wait_for(back.get(), 5) == number + 1
    there.put(None)
    thread.join()  # a callback that waits for a dhaga: its turns go on, the loop's do not
    assert await in_dhaga(ends_in_time)
    # a name is looked up on a native thread
    assert await in_dhaga(socket.gethostbyname, "localhost") == "127.0.0.1"
    task = asyncio.ensure_future(in_dhaga(time.sleep, 10))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    # a busy dhaga does not starve the loop, nor the loop the dhagas
    end = time.monotonic() + 0.1

    def never_idle():
        while time.monotonic() < end:
            time.sleep(0)

    spinner = asyncio.ensure_future(in_dhaga(never_idle))
    before = ticks
    await asyncio.sleep(0.09)
    assert ticks - before >= 2
    await spinner
    ticker.cancel()
    threading.Thread(target=lambda: (time.sleep(0.05), kept.append("later"))).start()
    if not kept:
        kept.append("closed")
        host.close()
        time.sleep(0.1)  # parks again
        assert kept.pop() == "later"
        kept.clear()
        kept.append("closed")


class OwnSelector(selectors.SelectSelector):
    def _select(self, *args):
        return dhagapatch.original("select", "select")(*args)


def own_loop():
    return asyncio.SelectorEventLoop(OwnSelector())


kept = []
for factory in (uvloop.new_event_loop, own_loop, asyncio.new_event_loop):
    for first in ([], ["not closed"]):
        kept[:] = first
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main(kept))
        # the loop has ended: the dhagas that are left run on with the main one's waits
        end = time.monotonic() + 5
        while "later" not in kept and first:
            time.sleep(0.02)
            assert time.monotonic() < end
        assert dhagapatch.get_hub().host is None
        assert await_(add(2, 3)) == 5

# Tornado's loop
async def tornado():
    run_on(IOLoop.current())
    return await in_dhaga(client, echo_server())


assert asyncio.run(tornado()) == 3

# signals are handled in the loop, at once, and what they raise leaves it
handled = []
signal.signal(signal.SIGUSR1, lambda *_: handled.append(time.monotonic()))


async def signals():
    run_on()
    began = time.monotonic()
    await in_dhaga(lambda: (os.kill(os.getpid(), signal.SIGUSR1), time.sleep(0.01)))
    await asyncio.sleep(0.05)
    assert handled and handled[0] - began < 0.05
    await in_dhaga(lambda: (os.kill(os.getpid(), signal.SIGINT), time.sleep(1)))


try:
    uvloop.run(signals())
    raise AssertionError
except KeyboardInterrupt:
    pass


# two at once, one inside the other; closed by a dhaga; a library's greenlet in the loop
async def inner():
    run_on()


async def outer():
    host = run_on()

    def nested():
        try:
            uvloop.run(inner())
        except RuntimeError as error:
            return str(error)

    assert "another loop" in await in_dhaga(nested)
    assert greenlet(lambda: (time.sleep(0.01), "value")[1]).switch() == "value"
    assert await asyncio.sleep(0.01, "slept") == "slept"
    await in_dhaga(host.close)
    await asyncio.sleep(0.02)
    assert dhagapatch.get_hub().host is None
    return "end"


assert uvloop.run(outer()) == "end"

# a thread that was a host leaves nothing behind
for _ in range(3):
    thread = threading.Thread(target=lambda: uvloop.run(inner()))
    thread.start()
    thread.join()
assert not [dhaga for dhaga in dhagapatch.get_hub().dhagas if dhaga.dead]

# on another OS thread, which had no hub
results = []


def native():
    async def hosted():
        run_on()
        return await asyncio.gather(*(in_dhaga(lambda: (time.sleep(0.05), threading.get_ident())[1]) for _ in range(20)))

    began = time.monotonic()
    results.append(len(set(uvloop.run(hosted()))))
    results.append(time.monotonic() - began)


dhagapatch.original("_thread", "start_new_thread")(native, ())
while len(results) < 2:
    time.sleep(0.01)
assert results[0] == 20 and results[1] < 0.8, results

# what is wrong is told
for call in (run_on, lambda: run_on(asyncio.new_event_loop())):
    try:
        call()
        raise AssertionError
    except RuntimeError as error:
        assert "while it runs" in str(error)
threading.Thread(target=lambda: (time.sleep(0.05), print("joined at exit"))).start()
