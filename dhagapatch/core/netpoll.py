"""The selector that the hub's asyncio loop is given: here dhagas run.

To asyncio this is an ordinary selector.  Its `select(timeout)` does not merely wait: it runs turns of ready
dhagas, polls, marks the descriptors that became ready and the dhagas that waited for them, and goes round
again.  It returns to asyncio only when a descriptor that asyncio registered is ready, when `call_soon` or
`call_at` gave the loop something to do, or when asyncio's own timeout is over.  So a switch between dhagas
never pays for asyncio's bookkeeping, and both live on one thread, one poller and one clock.

Fairness: a turn resumes only the dhagas that were ready when it began; descriptors are polled at least every
`POLL_EVERY` seconds of turns; asyncio gets its turn after at most one turn of dhagas once it has work.

Readiness (edge-triggered, registered once) is remembered in an `Entry` for each descriptor.  The rules:

* ``readable``/``writable`` start true ("try it").  The call that hits EAGAIN clears the flag; the next edge sets it.
* A stream read that comes back short clears it too: the descriptor is drained, and a new edge will come.
* Not so after a hang-up, an error or urgent data (``sticky``): then no new edge need come, so only EAGAIN counts.
"""

from __future__ import annotations

import selectors
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.deadlines import Deadlines
from dhagapatch.core.poller import ERROR, MASKS, PRIORITY, READ, WRITE, Events, Poller

if TYPE_CHECKING:
    from greenlet import greenlet

__all__ = ["LEND_EVERY", "LONGEST", "POLL_EVERY", "QUIET", "STAYS", "Entry", "Netpoll"]

POLL_EVERY = 0.0005  # seconds: how long ready dhagas may keep the poller waiting
LEND_EVERY, _LEND_SELDOM, _LENT = 0.01, 0.2, 0.00002  # seconds
STAYS = ERROR | PRIORITY
LONGEST = 86400.0  # seconds: pollers count milliseconds, in 32 bits
QUIET = 0.05  # seconds without an event before it is asked whether one can still come


class Entry:
    """What is known of one descriptor, and who waits for it."""

    __slots__ = (
        "asked", "closed", "fd", "limits", "readable", "readers", "registered", "sticky", "stream", "writable", "writers",
    )  # fmt: skip

    def __init__(self, fd: int, stream: bool = False) -> None:
        self.fd = fd
        self.readable = True
        self.writable = True
        self.sticky = False
        self.stream = stream  # a short read means "drained"
        self.registered = False
        self.closed = False  # the descriptor is, since somebody has looked this entry up
        self.asked = False  # whether its mode and the kernel's own timeouts were looked up
        self.limits: dict[int, float] | None = None  # the kernel's own timeouts, in seconds, by direction
        self.readers: list[greenlet] = []
        self.writers: list[greenlet] = []

    def __repr__(self) -> str:
        flags = "".join(
            letter
            for letter, flag in zip("rws", (self.readable, self.writable, self.sticky), strict=True)
            if flag
        )
        return f"<Entry fd={self.fd} {flags} readers={len(self.readers)} writers={len(self.writers)}>"


class _ByDescriptor(dict[Any, selectors.SelectorKey]):
    """The keys by descriptor, also for who asks with the object that has the descriptor."""

    def __missing__(self, fileobj: Any) -> selectors.SelectorKey:
        if isinstance(fileobj, int) or (fd := fileobj.fileno()) not in self:
            raise KeyError(fileobj)
        return self[fd]


class Netpoll(selectors.BaseSelector):
    """A selector for asyncio, with a run queue, deadlines and readiness for dhagas inside."""

    __slots__ = ("_lent", "loop_work", "on_busy", "on_idle", "one_shot", "poller")  # what `_speedups` reads
    leaves = 0  # how often it has returned to asyncio; counted while stalls are watched
    watchers = 0  # native threads that look at the process now and then

    def __init__(self, poller: Poller, turn: Callable[[], int]) -> None:
        self.poller = poller
        self.one_shot = poller.one_shot
        self.deadlines = Deadlines()
        self.entries: dict[int, Entry] = {}
        self.runq: deque[greenlet] = deque()
        self.loop_work = False  # set by the loop's call_soon and call_at
        self.on_enter: Callable[[], None] = _nothing
        self.on_leave: Callable[[], None] = _nothing
        self.on_quiet: Callable[[], None] = _nothing
        self.on_wakeup: Callable[[], None] = _nothing
        # called before each poll with the seconds that it may take; may wait itself, and says what is left for the poll
        self.on_idle: Callable[[float | None], float | None] | None = None
        self.on_busy: list[Callable[[], None]] = []  # called once, when the next poll has ended
        self._turn = turn
        self._keys: dict[int, selectors.SelectorKey] = _ByDescriptor()
        self._wakeup_fd = -1
        self._lent = self._lent_last = 0.0

    # what asyncio calls

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        if fd < 0:
            raise ValueError(f"Invalid file descriptor: {fd}")
        if fd in self._keys:
            raise KeyError(f"{fileobj!r} (FD {fd}) is already registered")
        self.poller.level(fd, events)
        key = self._keys[fd] = selectors.SelectorKey(fileobj, fd, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        key = self._find(fileobj)
        del self._keys[key.fd]
        self.poller.level(key.fd, 0)
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = self._find(fileobj)
        if events != key.events:
            self.poller.level(key.fd, events)
        key = self._keys[key.fd] = key._replace(events=events, data=data)
        return key

    def _find(self, fileobj: Any) -> selectors.SelectorKey:
        if isinstance(fileobj, int):
            return self._keys[fileobj]
        for key in self._keys.values():
            if key.fileobj is fileobj:
                return key
        raise KeyError(f"{fileobj!r} is not registered")

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys

    def close(self) -> None:
        self._keys.clear()
        self.poller.close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.loop_work = False
        self.on_enter()
        try:
            return self.run(None if timeout is None else _real.monotonic() + timeout)
        finally:
            self.on_leave()

    # the scheduler

    def set_wakeup(self, fd: int) -> None:
        """`fd` becomes readable when another OS thread put something into the hub's inbox."""
        self._wakeup_fd = fd
        if fd >= 0:
            self.poller.level(fd, READ)

    def run(
        self, until: float | None, done: Callable[[], bool] | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        """Turns and polls until asyncio has something to do, `until` is over, or `done()`."""
        runq = self.runq
        heap = self.deadlines.heap  # a look without a call
        turn = self._turn
        clock = _real.monotonic
        polled = 0.0
        quiet = False
        while True:
            if turn():
                quiet = False
            now = clock()
            if heap and heap[0][0] <= now:
                self._expire(now)
            if done is not None and done():
                return []
            over = self.loop_work or (until is not None and until <= now)
            if over or runq:
                if not over and now - polled < POLL_EVERY:
                    continue
                timeout: float | None = 0.0
                if now - self._lent > LEND_EVERY:
                    self._lend(now)
            else:
                next_at = heap[0][0] if heap else None
                if until is not None and (next_at is None or until < next_at):
                    next_at = until
                timeout = None if next_at is None else max(next_at - now, 0.0)
                if not quiet and until is None and (timeout is None or timeout > QUIET):
                    timeout = QUIET
                elif timeout is not None and timeout > LONGEST:
                    timeout = LONGEST
            if self.on_idle is not None:
                timeout = self.on_idle(timeout)
            ready = self._poll(timeout)
            if self.on_busy:
                self.tell_busy()
            polled = clock() if runq else 0.0
            if ready or over:
                return ready
            if timeout == QUIET and not quiet:
                quiet = True
                self.on_quiet()

    def look(self) -> None:
        """Wake the dhagas that are due by now.  What asyncio waits for is a level, and is reported again."""
        self._expire(_real.monotonic())
        self._poll(0.0)

    def _lend(self, now: float) -> None:
        """Let native threads have the interpreter for a moment, if there are any.

        HAZARD: who waits for the interpreter asks for it only after 5 ms in which nobody has let go of it (the switch interval).
        Polls let go of it more often, and take it back before the waiter has woken: it would never get it.
        """
        self._lent = now
        count = _real.thread_count()
        # the runtime's watcher wants it seldom
        if count > self.watchers or (count and now - self._lent_last > _LEND_SELDOM):
            self._lent_last = now
            _real.sleep(_LENT)

    def _expire(self, now: float) -> None:
        self.deadlines.expire(now, self.runq)

    def _poll(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        poller = self.poller
        if not self.mark(poller.edges(timeout), self.entries, MASKS, self.runq, poller.level_fd):
            return []
        return self.told_levels()

    def tell_busy(self) -> None:
        """A poll has ended."""
        calls, self.on_busy = self.on_busy, []
        for call in calls:
            call()

    def told_levels(self) -> list[tuple[selectors.SelectorKey, int]]:
        """What of asyncio's is ready."""
        levels = self.poller.levels()
        keys = self._keys
        if any(fd == self._wakeup_fd for fd, _ in levels):
            self.on_wakeup()
        return [(keys[fd], mask) for fd, mask in levels if mask and fd in keys]

    @staticmethod
    def mark(events: Events, entries: dict[int, Entry], masks: Mapping[int, int], runq: deque[Any], level_fd: int) -> bool:
        """Mark what became ready, and make those ready who waited for it; whether `level_fd` is among it."""
        level = False
        get = entries.get
        ready = runq.append
        for fd, event in events:
            entry = get(fd)
            if entry is None:
                if fd == level_fd:
                    level = True
                continue  # or it was closed meanwhile
            mask = masks[event]
            if mask & STAYS:
                entry.sticky = True
            if mask & READ:
                entry.readable = True
                if entry.readers:
                    for waiter in entry.readers:
                        if waiter.dhaga_parked:
                            waiter.dhaga_parked = False
                            ready(waiter)
                    entry.readers.clear()
            if mask & WRITE:
                entry.writable = True
                if entry.writers:
                    for waiter in entry.writers:
                        if waiter.dhaga_parked:
                            waiter.dhaga_parked = False
                            ready(waiter)
                    entry.writers.clear()
        return level

    def watch(self, entry: Entry, direction: int, afresh: bool = False) -> None:
        """See to it that the next edge of `entry` is reported; OSError for what can't be polled."""
        if not entry.registered or afresh:
            self.poller.register(entry.fd)
            entry.registered = True
        if self.poller.one_shot:
            self.poller.arm(entry.fd, direction)

    def forget(self, fd: int) -> Entry | None:
        """`fd` is being closed: take it out; the caller wakes whoever waits for the entry returned."""
        entry = self.entries.pop(fd, None)
        if entry is not None:
            entry.closed = True
            if entry.registered:
                entry.registered = False
                self.poller.unregister(fd)
        return entry

    def renew(self, fd: int) -> list[Any]:
        """`fd` is a new descriptor, or has a new owner: whatever was known of it counts no more.  Who must look again."""
        entry = self.entries.get(fd)
        if entry is None:
            return []
        if entry.readers or entry.writers:
            # HAZARD: two socket objects may share a descriptor; those who wait for the other one
            # try again and register again, none is lost.
            entry.readable = entry.writable = True
            entry.registered = entry.sticky = entry.asked = False
            entry.limits = None
            waiters = [*entry.readers, *entry.writers]
            entry.readers.clear()
            entry.writers.clear()
            return waiters
        del self.entries[fd]
        return []

    def doubt(self) -> None:
        """Whoever waits for a descriptor looks again, and is told of readiness again.

        HAZARD: a finalizer that waits in the hub's own greenlet runs turns inside of a poll perhaps, whose edges, which come
        once, have not been marked.
        """
        for fd in list(self.entries):
            for waiter in self.renew(fd):
                if waiter.dhaga_parked:
                    waiter.dhaga_parked = False
                    self.runq.append(waiter)

    def awaits_events(self) -> bool:
        """Whether a descriptor is waited for, by a dhaga or by asyncio (its self-pipe aside)."""
        # HAZARD: a copy, as a finalizer may close a socket meanwhile
        if any(entry.readers or entry.writers for entry in list(self.entries.values())):
            return True
        return len(self._keys) > 1


def _nothing() -> None:
    pass
