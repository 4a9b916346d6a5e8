"""select, poll, epoll and the selectors: what is ready, when, and what is said of bad arguments."""

from __future__ import annotations

import os
import select
import selectors
import socket
import threading
import time
from typing import Any

from network import fill

module_epoll = select.epoll()
module_poll = select.poll()
module_selector = selectors.DefaultSelector()


def _soon(function: Any, *args: Any) -> threading.Thread:
    """Call it in a thread, once the caller has had time to begin its wait."""

    def run() -> None:
        time.sleep(0.02)
        function(*args)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def case_select(t: Any) -> None:
    left, right = socket.socketpair()
    with left, right:
        t.outcome("nothing", select.select, [left], [], [], 0)
        t.outcome("timeout", select.select, [left], [], [left], 0.01)
        ready = select.select([left], [right], [left, right], 1)
        t.note([one is other for one, other in zip(ready[1], [right], strict=True)], ready[0], ready[2])
        thread = _soon(right.send, b"x")
        t.note(select.select([left], [], [], 5)[0] == [left])
        thread.join()
        t.note([len(part) for part in select.select((left,), {left}, [left.fileno()], 1)])
        right.close()
        left.recv(1)
        t.note([len(part) for part in select.select([left], [left], [left], 1)])
    t.outcome("closed", select.select, [left], [], [], 0)
    for args in ((), (1, 2, 3), ([1], [], "x"), ([], [], [], "x"), ([], [], [], -1), (["x"], [], [], 0), ([-1], [], [], 0),
                 ([1 << 40], [], [], 0), ([None], [], [], 0), ([10000], [], [], 0), ([], [], [], 0),
                 ([], [], [], float("nan"))):  # fmt: skip
        t.outcome(f"select{args!r}", select.select, *args)
    reader, writer = os.pipe()
    with open(os.devnull) as null:
        t.note(len(select.select([null, reader], [writer], [], 1)[0]), len(select.select([null], [], [], 0)[0]))
    os.close(writer)
    t.note(select.select([reader], [], [], 1)[0] == [reader])
    os.close(reader)


def case_one_descriptor_in_several_lists(t: Any) -> None:
    """Whichever of them it becomes ready for ends the wait."""

    def waits(lists: Any, later: Any) -> list[int]:
        thread = _soon(later)
        ready = select.select(*lists, 5)
        thread.join()
        return [len(part) for part in ready]

    left, right = socket.socketpair()
    with left, right:
        for one, other in ((left, right), (right, left)):
            fill(one)
            t.note("readable", waits(([one], [one], [one]), lambda other=other: other.send(b"x")))
            one.recv(10)
            t.note("writable", waits(([one], [one], []), lambda other=other: other.recv(1 << 24)))
            other.setblocking(False)
            fill(one)
            t.note("twice in a list", waits(([one, one], [one], [one]), lambda other=other: other.send(b"y")))
            one.recv(10)
            while True:
                try:
                    other.recv(1 << 24)
                except BlockingIOError:
                    break
            other.setblocking(True)


def case_select_in_threads(t: Any) -> None:
    left, right = socket.socketpair()
    with left, right:
        seen: list[Any] = []
        threads = [threading.Thread(target=lambda: seen.append(select.select([left], [], [], 5)[0] == [left])) for _ in range(4)]
        for thread in threads:
            thread.start()
        right.send(b"x")
        for thread in threads:
            thread.join()
        t.note(seen)

        class Numbered:
            def fileno(self) -> int:
                return left.fileno()

        one = Numbered()
        t.note(select.select([one], [], [], 1)[0] == [one])

        class Broken:
            def fileno(self) -> int:
                raise KeyError("no number")

        t.outcome("broken", select.select, [Broken()], [], [], 0)


def case_poll(t: Any) -> None:
    poll = select.poll()
    t.note(type(poll).__name__, poll.poll(0), poll.poll(10))
    left, right = socket.socketpair()
    with left, right:
        t.outcome("register", poll.register, left)
        t.note([events for _, events in poll.poll()])
        t.outcome("modify", poll.modify, left, select.POLLIN)
        t.note(poll.poll(0), poll.poll(10), poll.poll(0.5))
        thread = _soon(right.send, b"x")
        t.note([(fd == left.fileno(), events) for fd, events in poll.poll(5000)])
        thread.join()
        left.recv(1)
        thread = _soon(right.shutdown, socket.SHUT_WR)
        poll.modify(left, select.POLLIN | select.POLLRDHUP)
        t.note([events for _, events in poll.poll(5000)])
        thread.join()
        poll.modify(left, 0)
        t.note(poll.poll(10))
        thread = _soon(right.close)
        t.note([events for _, events in poll.poll(5000)])
        thread.join()
        t.outcome("unregister", poll.unregister, left)
        t.outcome("unregister again", poll.unregister, left)
        t.outcome("modify unknown", poll.modify, left, select.POLLIN)
    for name, args in (("register", ()), ("register", ("x",)), ("register", (-1,)), ("register", (0, 1 << 20)),
                       ("register", (0, -1)), ("register", (0, "x")),
                       ("poll", ("x",)), ("poll", (-1.5, 2)), ("poll", (1 << 70,)), ("poll", (1e300,)),
                       ("modify", (0,)), ("unregister", (1 << 40,))):  # fmt: skip
        t.outcome(f"{name}{args!r}", getattr(poll, name), *args)
    closed = select.poll()
    sock = socket.socket()
    closed.register(sock, select.POLLIN)
    sock.close()
    t.note([events == select.POLLNVAL for _, events in closed.poll(100)])


def case_poll_concurrently(t: Any) -> None:
    poll = select.poll()
    left, right = socket.socketpair()
    with left, right:
        poll.register(left, select.POLLIN)
        begun = threading.Event()
        seen: list[Any] = []

        def wait() -> None:
            begun.set()
            seen.append(len(poll.poll(5000)))

        thread = threading.Thread(target=wait)
        thread.start()
        begun.wait()
        time.sleep(0.02)
        t.outcome("concurrent", poll.poll, 0)
        right.send(b"x")
        thread.join()
        t.note(seen)


def case_epoll(t: Any) -> None:
    left, right = socket.socketpair()
    epoll = module_epoll
    with left, right:
        t.note(epoll.closed, epoll.fileno() >= 0, epoll.poll(0), epoll.poll(0.01), epoll.poll(timeout=0.01, maxevents=3))
        t.outcome("register", epoll.register, left, select.EPOLLIN)
        t.outcome("again", epoll.register, left)
        thread = _soon(right.send, b"x")
        t.note([(fd == left.fileno(), events) for fd, events in epoll.poll(5)])
        thread.join()
        t.outcome("modify", epoll.modify, left, select.EPOLLIN | select.EPOLLET)
        t.note(len(epoll.poll(0)), len(epoll.poll(0)), len(epoll.poll(0.01)))
        right.send(b"y")
        t.note(len(epoll.poll(1)))
        epoll.modify(left, select.EPOLLIN | select.EPOLLONESHOT)
        t.note(len(epoll.poll(1)), len(epoll.poll(0.01)))
        epoll.register(right.fileno(), select.EPOLLOUT)
        t.note([(fd == right.fileno(), events) for fd, events in epoll.poll(1)])
        t.outcome("unregister", epoll.unregister, left)
        t.outcome("unregister again", epoll.unregister, left)
        t.outcome("modify unknown", epoll.modify, left, 1)
        t.outcome("bad timeout", epoll.poll, "x")
        t.outcome("bad number", epoll.poll, 0, 0)
        t.outcome("bad number", epoll.poll, 0, -2)
        t.outcome("bad descriptor", epoll.register, -1)
        t.outcome("bad descriptor", epoll.register, 10000)
        other = select.epoll.fromfd(os.dup(epoll.fileno()))
        t.note(type(other) is select.epoll, len(other.poll(1)))
        other.close()
        other.close()
        t.note(other.closed)
        t.outcome("closed", other.poll, 0)
        t.outcome("closed", other.fileno)
        t.outcome("closed", other.register, left)
    with select.epoll(sizehint=10, flags=select.EPOLL_CLOEXEC) as inner:
        t.note(os.get_inheritable(inner.fileno()))
    t.note(inner.closed)
    t.outcome("enter closed", inner.__enter__)
    t.outcome("size", select.epoll, 0)
    t.outcome("flags", select.epoll, 1, 12345)
    t.note(select.epoll.__name__, select.epoll.__module__)


def case_epoll_registered_during_a_wait(t: Any) -> None:
    left, right = socket.socketpair()
    with left, right, select.epoll() as epoll:
        right.send(b"x")
        thread = _soon(epoll.register, left, select.EPOLLIN)
        t.note(len(epoll.poll(5)))
        thread.join()
        left.recv(1)
        seen: list[Any] = []
        threads = [threading.Thread(target=lambda: seen.append(len(epoll.poll(5)))) for _ in range(3)]
        for thread in threads:
            thread.start()
        right.send(b"y")
        for thread in threads:
            thread.join()
        t.note(seen)


def case_selectors(t: Any) -> None:
    for kind in (selectors.SelectSelector, selectors.PollSelector, selectors.EpollSelector, selectors.DefaultSelector):
        left, right = socket.socketpair()
        with left, right, kind() as selector:
            t.note(kind.__name__, selector.select(0), selector.select(0.01), selector.select(-1))
            key = selector.register(left, selectors.EVENT_READ, "data")
            t.note(key.fileobj is left, key.events, key.data, selector.get_key(left) is not None, len(selector.get_map()))
            t.outcome("again", selector.register, right.fileno(), 7)
            t.note(selector.select(0.01))
            thread = _soon(right.send, b"x")
            t.note([(key.data, events) for key, events in selector.select(5)])
            thread.join()
            selector.modify(left, selectors.EVENT_READ | selectors.EVENT_WRITE, "both")
            t.note([(key.data, events) for key, events in selector.select(5)])
            selector.unregister(left)
            t.note(selector.select(0), len(selector.get_map()))
            t.note(left in selector.get_map())


def case_selector_made_early(t: Any) -> None:
    left, right = socket.socketpair()
    with left, right:
        module_selector.register(left, selectors.EVENT_READ)
        thread = _soon(right.send, b"x")
        t.note(len(module_selector.select(5)))
        thread.join()
        module_selector.unregister(left)


def case_poll_made_early(t: Any) -> None:
    left, right = socket.socketpair()
    with left, right:
        module_poll.register(left, select.POLLIN)
        t.note(module_poll.poll(10))
        thread = _soon(right.send, b"x")
        t.note([events for _, events in module_poll.poll(5000)])
        thread.join()
        module_poll.unregister(left)
        t.outcome("bad", module_poll.register, "x")


def case_closed_during_a_wait(t: Any) -> None:
    """The kernel goes on with the open file behind a number that is closed, and the number may come again."""

    def of_poll(fds: list[int], timeout: float) -> list[bool]:
        poller = select.poll()
        for fd in fds:
            poller.register(fd, select.POLLIN)
        return [fd == fds[-1] for fd, _ in poller.poll(timeout * 1000)]

    def of_select(fds: list[int], timeout: float) -> list[bool]:
        return [fd == fds[-1] for fd in select.select(fds, [], [], timeout)[0]]

    for wait in (of_poll, of_select):
        (gone, other), (reader, writer) = os.pipe(), os.pipe()
        thread = _soon(os.close, gone)
        t.note(wait.__name__, wait([gone, reader], 0.1))
        thread.join()
        os.close(other)

        gone, other = os.pipe()

        def renew(number: int = gone, writer: int = writer) -> None:
            os.close(number)
            assert os.dup(writer) == number  # as ready as can be, for writing
            os.write(writer, b"x")

        thread = _soon(renew)
        t.note(wait([gone, reader], 5))
        thread.join()
        for fd in (gone, other, reader, writer):
            os.close(fd)


def case_waits_leave_no_descriptor(t: Any) -> None:
    left, right = socket.socketpair()
    with left, right:
        low = os.dup(0)
        os.close(low)
        lowest = []

        def look() -> None:
            lowest.append(os.dup(0) == low)
            os.close(low)
            right.send(b"x")

        epoll = select.epoll()
        epoll.register(left, select.EPOLLIN)
        poller = select.poll()
        poller.register(left, select.POLLIN)
        low = os.dup(0)
        os.close(low)
        for wait in (lambda: select.select([left], [], [], 5)[0], lambda: poller.poll(5000), lambda: epoll.poll(5)):
            thread = _soon(look)
            t.note(len(wait()))
            thread.join()
            left.recv(1)
        epoll.close()
        t.note(lowest)


def case_timeouts_that_stand_for_numbers(t: Any) -> None:
    class Number:
        def __init__(self, value: int) -> None:
            self.value = value

        def __index__(self) -> int:
            return self.value

    reader, writer = os.pipe()
    poll, epoll = select.poll(), select.epoll()
    poll.register(reader, select.POLLIN)
    epoll.register(reader, select.EPOLLIN)
    ticks, ended = [0], threading.Event()

    def tick() -> None:
        while not ended.is_set():
            ticks[0] += 1
            time.sleep(0.002)

    thread = threading.Thread(target=tick)
    thread.start()
    calls = {
        "select": lambda: select.select([reader], [], [], Number(1)),
        "poll": lambda: poll.poll(Number(200)),
        "epoll": lambda: epoll.poll(Number(1)),
        "sleep": lambda: time.sleep(Number(1)),
    }
    for name, call in calls.items():
        ticks[0] = 0
        t.outcome(name, call)
        t.note("others run", ticks[0] > 5)
    for value in (float("nan"), "1", Number(0)):
        t.outcome("select", select.select, [reader], [], [], value)
        t.outcome("poll", poll.poll, value)
        t.outcome("epoll", epoll.poll, value)
        t.outcome("sleep", time.sleep, value)
    ended.set()
    thread.join()
    epoll.close()
    os.close(reader)
    os.close(writer)
