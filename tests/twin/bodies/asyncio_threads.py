"""asyncio beside threads: loops in several threads at once, and the calls between threads and loops."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from programs import said


def started(function: Callable[..., object], *args: Any) -> threading.Thread:
    thread = threading.Thread(target=function, args=args)
    thread.start()
    return thread


def in_threads(function: Callable[[int], object], count: int = 5) -> list[Any]:
    """What `function(n)` returned in each of some threads at once, in order."""
    results: dict[int, Any] = {}

    def work(n: int) -> None:
        try:
            results[n] = function(n)
        except Exception as error:
            results[n] = repr(error)

    threads = [started(work, n) for n in range(count)]
    for thread in threads:
        thread.join()
    return [results[n] for n in range(count)]


def case_run(t: Any) -> None:
    async def main(n: int) -> Any:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0.001 * n)
        gathered = await asyncio.gather(*(asyncio.sleep(0.001, result=k * n) for k in range(3)))
        task = asyncio.current_task()
        return gathered, loop is asyncio.get_running_loop(), task is not None and task.done()

    t.note(asyncio.run(main(7)))
    t.note(in_threads(lambda n: asyncio.run(main(n))))
    t.outcome("no loop", asyncio.get_running_loop)


def case_run_fails(t: Any) -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError("in a coroutine")

    async def nested() -> None:
        inner = asyncio.sleep(0)
        try:
            asyncio.run(inner)
        finally:
            inner.close()

    t.outcome("fails", lambda: asyncio.run(fail()))
    t.outcome("nested", lambda: asyncio.run(nested()))
    t.note(in_threads(lambda n: asyncio.run(fail()), 2), in_threads(lambda n: asyncio.run(nested()), 2))
    t.outcome("no coroutine", asyncio.run, 3)

    async def limited() -> str:
        try:
            await asyncio.wait_for(asyncio.sleep(5), 0.01)
        except TimeoutError:
            return "timeout"
        return "none"

    t.note(in_threads(lambda n: asyncio.run(limited()), 3))


def case_a_thread_blocks_in_a_coroutine(t: Any) -> None:
    """A coroutine that calls what blocks keeps its own loop, while other threads' loops go on."""

    async def blocking(n: int) -> Any:
        loop = asyncio.get_running_loop()
        time.sleep(0.005)
        threading.Event().wait(0.005)
        return loop is asyncio.get_running_loop(), asyncio.current_task() is not None, n

    t.note(in_threads(lambda n: asyncio.run(blocking(n))))


def case_run_coroutine_threadsafe(t: Any) -> None:
    loop = asyncio.new_event_loop()
    thread = started(loop.run_forever)

    async def double(n: int) -> int:
        await asyncio.sleep(0.001)
        return 2 * n

    async def fail() -> None:
        raise ValueError("there")

    t.note(asyncio.run_coroutine_threadsafe(double(3), loop).result(5))
    t.note(in_threads(lambda n: asyncio.run_coroutine_threadsafe(double(n), loop).result(5)))
    t.outcome("fails", asyncio.run_coroutine_threadsafe(fail(), loop).result)
    future = asyncio.run_coroutine_threadsafe(asyncio.sleep(10), loop)
    t.outcome("timeout", future.result, 0.01)
    t.note(future.cancel(), future.cancelled())
    seen: list[Any] = []
    done = threading.Event()
    loop.call_soon_threadsafe(lambda: (seen.append(threading.current_thread() is thread), done.set()))
    t.note(done.wait(5), seen, loop.is_running())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    t.note(loop.is_running())
    loop.close()
    t.outcome("closed", loop.call_soon_threadsafe, print)


def case_call_soon_threadsafe_wakes(t: Any) -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()
        threading.Timer(0.02, lambda: loop.call_soon_threadsafe(future.set_result, "from a thread")).start()
        return await future

    t.note(asyncio.run(main()), in_threads(lambda n: asyncio.run(main()), 3))


def case_executors(t: Any) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

    async def main(n: int) -> Any:
        variable.set(f"value {n}")
        loop = asyncio.get_running_loop()
        beats: list[int] = []

        async def beat() -> None:
            while True:
                beats.append(1)
                await asyncio.sleep(0.001)

        heart = asyncio.create_task(beat())
        first = await asyncio.to_thread(variable.get)
        await asyncio.to_thread(time.sleep, 0.02)
        second = await loop.run_in_executor(None, pow, n, 2)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            third = await asyncio.gather(*(loop.run_in_executor(pool, pow, k, 2) for k in range(4)))
        heart.cancel()
        return first, second, third, len(beats) > 2

    t.note(asyncio.run(main(3)), in_threads(lambda n: asyncio.run(main(n)), 3))


def case_streams(t: Any) -> None:
    async def serve(n: int) -> Any:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                writer.write(line.upper())
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            got = []
            for k in range(3):
                writer.write(b"line %d of %d\n" % (k, n))
                got.append(await reader.readline())
            writer.close()
            await writer.wait_closed()
        return got

    t.note(asyncio.run(serve(9)), in_threads(lambda n: asyncio.run(serve(n)), 3))


def case_blocking_client_of_a_loop(t: Any) -> None:
    import socket

    ready: concurrent.futures.Future[Any] = concurrent.futures.Future()

    async def serve() -> None:
        stopped = asyncio.Event()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            data = await reader.readexactly(4)
            writer.write(data[::-1])
            await writer.drain()
            writer.close()
            if data == b"stop":
                stopped.set()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            ready.set_result(server.sockets[0].getsockname())
            await stopped.wait()

    thread = started(lambda: asyncio.run(serve()))
    for data in (b"ping", b"stop"):
        with socket.create_connection(ready.result(5)) as sock:
            sock.sendall(data)
            t.note(sock.recv(10))
    thread.join()


def case_subprocesses(t: Any) -> None:
    async def main(n: int) -> Any:
        process = await asyncio.create_subprocess_exec("cat", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
        out, err = await process.communicate(b"%d through cat" % n)
        shell = await asyncio.create_subprocess_shell(f"exit {n}")
        killed = await asyncio.create_subprocess_exec("sleep", "30")
        killed.kill()
        return out, err, process.returncode, await shell.wait(), await killed.wait()

    t.note(asyncio.run(main(3)))
    t.note(in_threads(lambda n: asyncio.run(main(n)), 3))


def case_pipes(t: Any) -> None:
    async def main() -> Any:
        loop = asyncio.get_running_loop()
        read_fd, write_fd = os.pipe()
        reader = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_fd, "rb"))
        thread = threading.Thread(target=lambda: (os.write(write_fd, b"through a pipe"), os.close(write_fd)))
        thread.start()
        got = await reader.read()
        thread.join()
        transport.close()
        return got

    t.note(asyncio.run(main()), in_threads(lambda n: asyncio.run(main()), 2))


def case_readers(t: Any) -> None:
    async def main(n: int) -> Any:
        loop = asyncio.get_running_loop()
        reader, writer = os.pipe()
        got: asyncio.Future[bytes] = loop.create_future()
        loop.add_reader(reader, lambda: got.done() or got.set_result(os.read(reader, 10)))
        loop.call_later(0.005, os.write, writer, b"%d" % n)
        result = await got
        loop.remove_reader(reader)
        os.close(reader)
        os.close(writer)
        return result

    t.note(in_threads(lambda n: asyncio.run(main(n))))


def case_async_generators(t: Any) -> None:
    """A loop's hooks for async generators are of its own thread."""
    closed: list[int] = []

    async def numbers(n: int) -> Any:
        try:
            for k in range(10):
                yield k
                await asyncio.sleep(0.001)
        finally:
            closed.append(n)

    async def main(n: int) -> Any:
        async for number in numbers(n):
            if number == 2:
                break
        return number

    t.note(in_threads(lambda n: asyncio.run(main(n)), 4), sorted(closed), sys.get_asyncgen_hooks())


def case_loops_by_hand(t: Any) -> None:
    def work(n: int) -> Any:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            same = asyncio.get_event_loop() is loop
            first = loop.run_until_complete(asyncio.sleep(0.002, result=n))
            return same, first, loop.run_until_complete(asyncio.sleep(0, result=-n))
        finally:
            asyncio.set_event_loop(None)
            loop.close()

    t.note(in_threads(work))
    with asyncio.Runner() as runner:
        t.note(runner.run(asyncio.sleep(0.001, result="runner")), runner.run(asyncio.sleep(0, result="again")))


def case_wrap_future(t: Any) -> None:
    async def main() -> Any:
        future: concurrent.futures.Future[int] = concurrent.futures.Future()
        threading.Timer(0.01, future.set_result, (5,)).start()
        return await asyncio.wrap_future(future)

    t.note(asyncio.run(main()))


def case_programs(t: Any) -> None:
    said(
        t, "interrupted",
        """
        import asyncio, os, signal, threading
        async def main():
            threading.Timer(.05, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                await asyncio.sleep(9)
            except asyncio.CancelledError:
                print("cancelled", flush=True)
                raise
        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            print("interrupted")
        """,
    )  # fmt: skip
    said(
        t, "signal handler of a loop",
        """
        import asyncio, os, signal, threading
        async def main():
            loop = asyncio.get_running_loop()
            stop = asyncio.Event()
            loop.add_signal_handler(signal.SIGTERM, stop.set)
            threading.Timer(.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
            await stop.wait()
            print("stopped")
        asyncio.run(main())
        """,
    )  # fmt: skip
