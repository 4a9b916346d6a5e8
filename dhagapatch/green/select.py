"""Cooperative `select`: the kernel is asked without waiting, and only when nothing is ready the dhaga parks."""

from __future__ import annotations

import errno
import select as _stdlib
from collections.abc import Callable, Collection
from operator import attrgetter
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import READ, WRITE, Entry, Hub, hub_for_wait
from dhagapatch.core.budget import QUESTION
from dhagapatch.core.descriptors import forget_descriptor, wake_all
from dhagapatch.core.entry import enter_methods, entry_method
from dhagapatch.core.own import refuse_own
from dhagapatch.core.sync import deadline_of
from dhagapatch.green.waiting import is_open, number_of, sleep_until
from dhagapatch.green.wording import stand_for

__all__ = ["epoll", "make_poll", "poll", "select"]

T = TypeVar("T")
_ALL = _stdlib.POLLIN | _stdlib.POLLPRI | _stdlib.POLLOUT
_INT_MAX = (1 << 31) - 1  # milliseconds; the native call refuses more
_LEAST, _MOST = 0.001, 0.02  # seconds: how often an object is asked whose descriptors are not known


def _wait_any(
    hub: Hub, interests: Collection[tuple[int, int]], deadline: float | None, ask: Callable[[set[int], bool], T]
) -> T:
    """Ask until there is an answer or `deadline` is over; parked between, until one of `interests` moves.

    `interests` are descriptors with the events of poll(2) that are asked for.  `ask` is told which of them have been closed
    meanwhile, and whether the time is over.  As natively, a close ends no wait: the kernel looks at the numbers again when
    something else does, and tells then what it finds.

    The hub's own poller looks after the descriptors, so the wait needs none itself.  Who wakes: an edge of one of them, or its
    close.  Who takes the waiter off the queues: this function, however the wait ends.
    """
    me = getcurrent()
    closed: set[int] = set()
    # HAZARD: once only, except where an edge must be asked for each time: registering afresh reports the present state, and a
    # hang-up that nobody asks about would be reported again and again
    afresh = True
    while True:
        seen = me.dhaga_parks
        if not afresh and (answer := ask(closed, False)):  # after `seen`: what moves from here on ends the park before it begins
            return answer
        entries: list[Entry] = []
        try:
            for fd, events in interests:
                if fd not in closed and not _enqueue(hub, me, fd, events, afresh, entries):
                    return ask(closed, True)  # closed behind our back: the question itself will tell
            what: object = entries[0] if len(entries) == 1 else f"one of {len(entries)} descriptors" if entries else "a deadline"
            in_time = hub.park(me, deadline, what, seen)
        finally:
            for entry in entries:
                for queue in (entry.readers, entry.writers):
                    if me in queue:
                        queue.remove(me)
        closed.update(entry.fd for entry in entries if entry.closed)
        afresh = hub.netpoll.poller.one_shot
        if afresh or not in_time:
            answer = ask(closed, not in_time)
            if answer or not in_time:
                return answer


def _enqueue(hub: Hub, me: greenlet, fd: int, events: int, afresh: bool, entries: list[Entry]) -> bool:
    """Have `me` woken when `fd` moves; False if it can't be waited for as it is closed.  `entries` gets what is waited for."""
    entry = hub.entries.get(fd)
    if entry is None:
        entry = hub.entries[fd] = Entry(fd)
    mask = _directions(events)
    try:
        for direction, queue in ((READ, entry.readers), (WRITE, entry.writers)):
            if mask & direction:
                if afresh or not entry.registered:
                    hub.netpoll.watch(entry, direction, afresh=True)
                queue.append(me)
    except PermissionError:
        return True  # a regular file: it does not change, and the first question was answered for it
    except OSError as error:
        if error.errno == errno.EBADF:
            return False
        raise
    entries.append(entry)
    return True


def _fileno(item: Any) -> int:
    return item if isinstance(item, int) else int(item.fileno())


def select(*args: Any, **kwargs: Any) -> Any:
    timeout = number_of(args[3]) if len(args) == 4 else None
    if kwargs or not 3 <= len(args) <= 4 or (timeout is not None and (not isinstance(timeout, (int, float)) or not timeout >= 0)):
        return _real.select_select(*args, **kwargs)  # most often an error; its words are native
    if not all(hasattr(type(items), "__iter__") or hasattr(type(items), "__getitem__") for items in args[:3]):
        return _real.select_select(*args)
    # a list is handed on as it is: `fileno` methods may change it, and the native call copes
    rlist, wlist, xlist = (items if isinstance(items, list) else list(items) for items in args[:3])
    ready = _real.select_select(rlist, wlist, xlist, 0)
    if any(ready) or timeout == 0:
        return ready
    hub = hub_for_wait()
    if hub is None:
        return _real.select_select(rlist, wlist, xlist, timeout)
    masks: dict[int, int] = {}
    for items, events in ((rlist, _stdlib.POLLIN), (wlist, _stdlib.POLLOUT), (xlist, _stdlib.POLLPRI)):
        for item in list(items):
            fd = _fileno(item)
            masks[fd] = masks.get(fd, 0) | events

    def ask_without(fds: set[int]) -> Any:
        lists: Any = [[item for item in items if _fileno(item) not in fds] for items in (rlist, wlist, xlist)]
        return _real.select_select(lists[0], lists[1], lists[2], 0)

    def ask(closed: set[int], final: bool) -> Any:
        if not closed:
            ready = _real.select_select(rlist, wlist, xlist, 0)
            return ready if any(ready) else None
        ready = ask_without(closed)
        if not any(ready) and not final:
            return None
        # what is not open counts as ready for everything (the kernel's POLLIN_SET and its kin)
        bad = {fd for fd in closed if not is_open(fd)}
        pairs = zip((rlist, wlist, xlist), ask_without(bad), strict=True)
        return tuple([item for item in items if item in found or _fileno(item) in bad] for items, found in pairs)

    return _wait_any(hub, masks.items(), deadline_of(timeout), ask) or ([], [], [])


def _directions(events: int) -> int:
    mask = READ if events & (_stdlib.POLLIN | _stdlib.POLLPRI) else 0
    if events & _stdlib.POLLOUT:
        mask |= WRITE
    return mask or READ | WRITE  # hang-up and error are always of interest


class poll:
    """A polling object; between its questions to the kernel the dhaga is parked."""

    __slots__ = ("_events", "_poll", "_polling")

    _poll: Any
    _events: dict[int, int] | None
    _polling: bool

    def __new__(cls, *args: Any, **kwargs: Any) -> poll:
        raise TypeError("cannot create 'select.poll' instances")

    @classmethod
    def _over(cls, real: Any, events: dict[int, int] | None) -> poll:
        """One over a native object; None for `events` if it was there before and what it has can't be read."""
        self = object.__new__(cls)
        self._poll, self._events, self._polling = real, events, False
        return self

    # the native methods come first: their words for wrong arguments are the right ones

    def register(self, *args: Any) -> None:
        self._poll.register(*args)
        if self._events is not None:
            self._events[_fileno(args[0])] = args[1] if len(args) > 1 else _ALL

    def modify(self, *args: Any) -> None:
        self._poll.modify(*args)
        if self._events is not None:
            self._events[_fileno(args[0])] = args[1]

    def unregister(self, *args: Any) -> None:
        self._poll.unregister(*args)
        if self._events is not None:
            self._events.pop(_fileno(args[0]), None)

    def poll(self, *args: Any) -> list[tuple[int, int]]:
        """Ready descriptors with their events, within a timeout in milliseconds (None or negative: no end)."""
        if self._polling:
            raise RuntimeError("concurrent poll() invocation")
        timeout = number_of(args[0]) if args else None
        if len(args) > 1 or (timeout is not None and (not isinstance(timeout, (int, float)) or not timeout <= _INT_MAX)):
            return self._poll.poll(*args)  # raises
        ready = self._poll.poll(0)
        if ready or timeout == 0:
            return ready
        hub = hub_for_wait()
        if hub is None:
            return self._poll.poll(timeout)
        deadline = None if timeout is None or timeout < 0 else deadline_of(timeout / 1000)
        self._polling = True
        try:
            if self._events is None:
                return self._ask_now_and_then(deadline)
            return _wait_any(hub, list(self._events.items()), deadline, self._ask)
        finally:
            self._polling = False

    def _ask(self, closed: set[int], final: bool) -> list[tuple[int, int]]:
        ready = self._poll.poll(0)
        return ready if final or not closed or any(fd not in closed for fd, _ in ready) else []

    def _ask_now_and_then(self, deadline: float | None) -> list[tuple[int, int]]:
        pause = _LEAST
        while True:
            now = _real.monotonic()
            if deadline is not None and now >= deadline:
                return []
            sleep_until(now + pause if deadline is None else min(now + pause, deadline))
            ready = self._poll.poll(0)
            if ready:
                return ready
            pause = min(pause * 2, _MOST)


def make_poll() -> poll:
    return poll._over(_real.poll(), {})


class epoll:
    """An epoll object; its descriptor is itself waited for, so its registrations stay the kernel's."""

    __slots__ = ("_epoll",)

    def __init__(self, sizehint: int = -1, flags: int = 0) -> None:
        self._epoll = _real.epoll(sizehint, flags)

    @classmethod
    def fromfd(cls, fd: int, /) -> epoll:
        refuse_own(fd)
        self = cls.__new__(cls)
        self._epoll = _real.epoll.fromfd(fd)
        return self

    @property
    def closed(self) -> bool:
        return self._epoll.closed

    def fileno(self) -> int:
        return self._epoll.fileno()

    def close(self) -> None:
        waiting = [] if self._epoll.closed else forget_descriptor(self._epoll.fileno())
        self._epoll.close()
        wake_all(waiting)

    def __enter__(self) -> epoll:
        self._epoll.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def register(self, fd: Any, eventmask: int = _stdlib.EPOLLIN | _stdlib.EPOLLPRI | _stdlib.EPOLLOUT) -> None:
        self._epoll.register(fd, eventmask)

    def modify(self, fd: Any, eventmask: int) -> None:
        self._epoll.modify(fd, eventmask)

    def unregister(self, fd: Any) -> None:
        self._epoll.unregister(fd)

    def poll(self, timeout: float | None = None, maxevents: int = -1) -> list[tuple[int, int]]:
        """Ready descriptors with their events, within `timeout` seconds (None or negative: no end)."""
        timeout = number_of(timeout)
        if timeout is not None and (not isinstance(timeout, (int, float)) or timeout != timeout):
            return self._epoll.poll(timeout, maxevents)
        ready = self._epoll.poll(0, maxevents)
        if ready or timeout == 0:
            return ready
        hub = hub_for_wait()
        if hub is None:
            return self._epoll.poll(timeout, maxevents)
        deadline = None if timeout is None or timeout < 0 else deadline_of(timeout)

        def ask(closed: set[int], final: bool) -> list[tuple[int, int]]:
            return self._epoll.poll(0, maxevents)

        return _wait_any(hub, ((self._epoll.fileno(), _stdlib.POLLIN),), deadline, ask)


def _complain_of_fromfd(_: object, /, *args: Any, **kwargs: Any) -> None:
    _real.epoll.fromfd(*args, **kwargs)


if _real.poll is not None:
    enter_methods(poll, "poll", real=type(_real.poll()), cost=QUESTION, model=attrgetter("_poll"))
    stand_for(poll, type(_real.poll()), attrgetter("_poll"))
if _real.epoll is not None:
    enter_methods(epoll, "poll", real=_real.epoll, cost=QUESTION, model=attrgetter("_epoll"))
    stand_for(epoll, _real.epoll, attrgetter("_epoll"))
    _from = entry_method(vars(epoll)["fromfd"].__func__, _real.epoll.fromfd, 0, words=_complain_of_fromfd)
    epoll.fromfd = classmethod(_from)  # type: ignore[method-assign, assignment]
