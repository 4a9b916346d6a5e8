"""Readiness of descriptors: one small class for each facility of a kernel, behind the same methods.

A poller answers two kinds of interest.  *Edges* are for dhagas: a descriptor is registered once, for both
directions, and each change is reported once.  *Levels* are for asyncio, which wants what a `selectors`
selector gives: an event as long as a descriptor is ready.  Where the kernel can nest one poller in another
(epoll, kqueue), the levels live in a second, inner one, so that a descriptor may have both kinds of interest
and neither disturbs the other.

The contract: events may be spurious, none is lost.  An edge that came before `register` is reported after it.
"""

from __future__ import annotations

import errno
import math
import select
from typing import Any, Protocol

from dhagapatch import _real
from dhagapatch._config import SETTINGS
from dhagapatch._errors import DhagapatchError
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.own import OWN, disown, duplicate_apart

__all__ = [
    "ERROR", "MASKS", "POLLS", "PRIORITY", "READ", "WRITE", "EpollPoller", "Events", "KqueuePoller", "PollPoller", "Poller",
    "make_poller",
]  # fmt: skip

READ = 1  # the same bits as selectors.EVENT_READ and EVENT_WRITE
WRITE = 2
ERROR = 4  # hang-up or error: both directions are ready and stay so
PRIORITY = 8  # urgent data

Events = list[tuple[int, int]]

_kq: Any = select  # type checkers know its kqueue part on some platforms only

_FINE = 0.002  # seconds; waits shorter than this want better than milliseconds
_FD_SETSIZE = 1024


class _Masks(dict[int, int]):
    """What an event of epoll or poll means, READ, WRITE, ERROR and PRIORITY bits, by its own bits."""

    def __missing__(self, event: int) -> int:
        mask = 0
        if event & (select.POLLIN | select.POLLHUP | select.POLLERR | 0x2000):
            mask |= READ
        if event & (select.POLLOUT | select.POLLHUP | select.POLLERR):
            mask |= WRITE
        if event & (select.POLLHUP | select.POLLERR | 0x2000):  # 0x2000: POLLRDHUP
            mask |= ERROR
        if event & select.POLLPRI:
            mask |= PRIORITY | READ
        if event & select.POLLNVAL:
            mask |= READ | WRITE | ERROR
        self[event] = mask
        return mask


MASKS = _Masks()


class Poller(Protocol):
    """What the netpoll needs of a kernel."""

    one_shot: bool  # an edge must be asked for again with `arm` after it was reported

    def register(self, fd: int) -> None:
        """Report edges of `fd`; again for a registered one: report its present state once more.

        OSError (EPERM, EBADF) for what can't be polled.
        """

    def unregister(self, fd: int) -> None:
        """Forget `fd`; an unknown or closed one is no error."""

    def arm(self, fd: int, direction: int) -> None:
        """Only if `one_shot`: report the next edge of `fd` in this direction."""

    def level(self, fd: int, mask: int) -> None:
        """Report `fd` as long as it is ready for `mask`; 0 takes it out."""

    level_fd: int  # stands among the edges when `levels` has something to tell

    def edges(self, timeout: float | None) -> Events:
        """Edges, after at most `timeout` seconds (None: for ever): descriptors, each with a key of MASKS."""

    def levels(self) -> Events:
        """The levels that are reached now: descriptors, each with its mask."""

    def fileno(self) -> int | None:
        """A descriptor that is readable when there is an edge; None if it has none."""

    def close(self) -> None:
        """Give the descriptors back."""


def _make_epoll() -> Any:
    make = _real.epoll
    assert make is not None
    low = make()  # closes its descriptor when it is dropped
    try:
        return make.fromfd(duplicate_apart(low.fileno()))
    except OSError:  # no further number is left: it keeps this one
        OWN.add(low.fileno())
        return low


class EpollPoller:
    """Linux: edge-triggered epoll for dhagas, a level-triggered one nested in it for asyncio."""

    def __init__(self) -> None:
        self.one_shot = False  # here, not in the class: it is asked at each wait
        self._epoll = _make_epoll()
        try:
            self._level = _make_epoll()
        except BaseException:
            _close(self._epoll)
            raise
        self._fd = self._epoll.fileno()
        self.level_fd = self._level.fileno()
        self._epoll.register(self.level_fd, select.EPOLLIN)
        self._edges = (
            select.EPOLLIN | select.EPOLLOUT | select.EPOLLPRI | select.EPOLLRDHUP | select.EPOLLET
        )
        self._levels: dict[int, int] = {}

    def register(self, fd: int) -> None:
        try:
            self._epoll.register(fd, self._edges)
        except FileExistsError:
            # HAZARD: the number was closed behind our back and came again, or is asked for afresh:
            # modifying makes the kernel report the present state, as registering does.
            self._epoll.modify(fd, self._edges)

    def unregister(self, fd: int) -> None:
        try:
            self._epoll.unregister(fd)
        except (OSError, ValueError):
            pass  # closed already, which took it out

    def arm(self, fd: int, direction: int) -> None:
        raise AssertionError("epoll needs no arming")

    def level(self, fd: int, mask: int) -> None:
        events = (select.EPOLLIN if mask & READ else 0) | (select.EPOLLOUT if mask & WRITE else 0)
        known = self._levels.pop(fd, 0)
        if not events:
            if known:
                try:
                    self._level.unregister(fd)
                except OSError:
                    pass  # closed already
            return
        try:
            (self._level.modify if known else self._level.register)(fd, events)
        except FileNotFoundError:
            self._level.register(fd, events)
        self._levels[fd] = mask

    def edges(self, timeout: float | None) -> Events:
        if timeout is None:
            timeout = -1
        elif 0 < timeout < _FINE and self._fd < _FD_SETSIZE:
            # epoll counts milliseconds; a short sleep would take up to one too long
            _real.select_select((self._fd,), (), (), timeout)
            timeout = 0
        return self._epoll.poll(timeout)

    def levels(self) -> Events:
        return [(fd, MASKS[event] & self._levels.get(fd, 0)) for fd, event in self._level.poll(0)]

    def fileno(self) -> int | None:
        return self._fd

    def close(self) -> None:
        for one in (self._epoll, self._level):
            _close(one)


def _close(epoll: Any) -> None:
    if not epoll.closed:
        disown(epoll.fileno())
        try:
            epoll.close()
        except OSError:
            pass  # C code of the program's has closed it


class KqueuePoller:
    """macOS and the BSDs: EV_CLEAR filters for dhagas, an inner kqueue with levels for asyncio."""

    def __init__(self) -> None:
        self.one_shot = False  # here, not in the class: it is asked at each wait
        make = _real.kqueue
        assert make is not None
        self._queue = make()
        self._level = make()
        self.level_fd = self._level.fileno()
        self._control(self._queue, self.level_fd, _kq.KQ_FILTER_READ, _kq.KQ_EV_ADD)
        self._levels: dict[int, int] = {}

    @staticmethod
    def _control(queue: Any, fd: int, what: int, flags: int) -> None:
        queue.control([_kq.kevent(fd, what, flags)], 0, 0)

    def register(self, fd: int) -> None:
        flags = _kq.KQ_EV_ADD | _kq.KQ_EV_CLEAR
        self._control(self._queue, fd, _kq.KQ_FILTER_READ, flags)
        try:
            self._control(self._queue, fd, _kq.KQ_FILTER_WRITE, flags)
        except OSError as error:
            if error.errno != errno.EPIPE:  # the read end of a pipe can't be written
                raise

    def unregister(self, fd: int) -> None:
        for what in (_kq.KQ_FILTER_READ, _kq.KQ_FILTER_WRITE):
            try:
                self._control(self._queue, fd, what, _kq.KQ_EV_DELETE)
            except OSError:
                pass  # closed already

    def arm(self, fd: int, direction: int) -> None:
        raise AssertionError("kqueue needs no arming")

    def level(self, fd: int, mask: int) -> None:
        known = self._levels.pop(fd, 0)
        for bit, what in ((READ, _kq.KQ_FILTER_READ), (WRITE, _kq.KQ_FILTER_WRITE)):
            if (mask ^ known) & bit:
                flags = _kq.KQ_EV_ADD if mask & bit else _kq.KQ_EV_DELETE
                try:
                    self._control(self._level, fd, what, flags)
                except OSError:
                    if mask & bit:
                        raise
        if mask:
            self._levels[fd] = mask

    @staticmethod
    def _events(raised: list[Any], read: int, write: int, error: int) -> Events:
        events = []
        for event in raised:
            bits = read if event.filter == _kq.KQ_FILTER_READ else write
            if event.flags & (_kq.KQ_EV_EOF | _kq.KQ_EV_ERROR):
                bits |= error
            events.append((event.ident, bits))
        return events

    def edges(self, timeout: float | None) -> Events:
        return self._events(self._queue.control(None, 256, timeout), select.POLLIN, select.POLLOUT, select.POLLHUP)

    def levels(self) -> Events:
        return self._events(self._level.control(None, 256, 0), READ, WRITE, ERROR)

    def fileno(self) -> int | None:
        return int(self._queue.fileno())

    def close(self) -> None:
        self._queue.close()
        self._level.close()


class PollPoller:
    """Anywhere else, and where no descriptor is left: poll(2), with edges made from levels by asking for each only once.

    It waits for at most `longest` seconds at a time.
    """

    level_fd = -1

    def __init__(self, longest: float | None = None) -> None:
        self.one_shot = True
        self._longest = longest
        make = _real.poll
        assert make is not None
        self._poll = make()
        self._reached: Events = []  # levels, since the last question
        self._edges: dict[int, int] = {}
        self._levels: dict[int, int] = {}

    def _update(self, fd: int) -> None:
        mask = self._edges.get(fd, 0) | self._levels.get(fd, 0)
        if mask:
            events = select.POLLIN | select.POLLPRI if mask & READ else 0
            self._poll.register(fd, events | (select.POLLOUT if mask & WRITE else 0))
        else:
            try:
                self._poll.unregister(fd)
            except KeyError:
                pass

    def register(self, fd: int) -> None:
        _real.os_fstat(fd)  # EBADF now: poll would tell it only as an event
        self._edges[fd] = READ | WRITE
        self._update(fd)

    def unregister(self, fd: int) -> None:
        if self._edges.pop(fd, None) is not None:
            self._update(fd)

    def arm(self, fd: int, direction: int) -> None:
        self._edges[fd] = self._edges.get(fd, 0) | direction
        self._update(fd)

    def level(self, fd: int, mask: int) -> None:
        self._levels.pop(fd, None)
        if mask:
            self._levels[fd] = mask
        self._update(fd)

    def edges(self, timeout: float | None) -> Events:
        edges: Events = []
        self._reached = []
        if self._longest is not None and (timeout is None or timeout > self._longest):
            timeout = self._longest
        for fd, event in self._poll.poll(None if timeout is None else math.ceil(timeout * 1e3)):
            mask = MASKS[event]
            asked = self._levels.get(fd, 0) & mask
            if asked:
                self._reached.append((fd, asked))
            asked = self._edges.get(fd, 0) & mask
            if asked:
                self._edges[fd] &= ~mask
                self._update(fd)
                edges.append((fd, event))
        if self._reached:
            edges.append((self.level_fd, 0))
        return edges

    def levels(self) -> Events:
        return self._reached

    def fileno(self) -> int | None:
        return None

    def close(self) -> None:
        self._edges.clear()
        self._levels.clear()


def make_poller(name: str = SETTINGS.poller) -> Poller:
    """The poller named, or ("auto") the best that this platform has."""
    if name in ("auto", "epoll") and _real.epoll is not None:
        return EpollPoller()
    if name in ("auto", "kqueue") and _real.kqueue is not None:
        return KqueuePoller()
    if name in ("auto", "poll") and _real.poll is not None:
        return PollPoller()
    raise DhagapatchError(f"the poller {name!r} is not there on this platform; set DHAGAPATCH_POLLER=auto")


POLLS = frozenset(kind.edges.__code__ for kind in (EpollPoller, KqueuePoller, PollPoller))  # where a hub waits
