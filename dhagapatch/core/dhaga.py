"""The micro-thread: a greenlet with the few slots that the hub needs of whoever waits."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from greenlet import GreenletExit, getcurrent, greenlet

from dhagapatch import _real
from dhagapatch._cpython import forget_dummy_thread, monitoring_debugger, thread_message, unraisable_arguments
from dhagapatch._errors import DhagaExit
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import profiles, threadstate, tools
from dhagapatch.core.hub import THREAD, Hub, HubGreenlet, all_hubs, current_hub, get_hub, hub_for_wait
from dhagapatch.core.room import check

__all__ = [
    "ROOTS", "Dhaga", "Ending", "current_dhaga", "find_dhaga", "owner_token", "report_unraisable", "running_dhaga", "spawn",
    "start_thread",
]  # fmt: skip


_LOOK = 0.01  # seconds
_SPARES = 64  # dhagas that are kept for new threads: to begin one costs several times what it costs to go on with one


class Ending(Protocol):
    """Who is told that a dhaga has ended: an object, as a bound method would take as much memory again."""

    def thread_ended(self, dhaga: Dhaga, /) -> None: ...


class _Both:
    """Two who are told, one after the other."""

    __slots__ = ("_first", "_then")

    def __init__(self, first: Ending, then: Ending) -> None:
        self._first = first
        self._then = then

    def thread_ended(self, dhaga: Dhaga, /) -> None:
        self._first.thread_ended(dhaga)
        self._then.thread_ended(dhaga)


class Dhaga(greenlet):
    """A micro-thread: it runs `function(*args, **kwargs)` on the hub of the OS thread that made it.

    An exception that ends it goes to `sys.unraisablehook`, as for a native thread started with
    `_thread.start_new_thread`; SystemExit and DhagaExit end it silently.

    .. versionadded:: 0.1
    """

    is_dhaga = True

    __slots__ = (
        "_dhagapatch_token",  # its `owner_token`
        "again",  # another thread may run in it when this one has ended; whoever keeps it, or something by it, says no
        "call",  # what it is to run, until it begins
        "dhaga_deadline",  # of the present wait, monotonic seconds
        "dhaga_hub",  # in which it may park
        "dhaga_interrupts",  # exceptions and handlers that are due at its wait
        "dhaga_leads",  # it forked: in the child it is the main one
        "dhaga_parked",  # parked, and nobody has woken it yet
        "dhaga_parks",  # how many times it was resumed
        "dhaga_timed_out",  # its deadline woke it
        "dhaga_timer_at",  # when the heap of deadlines looks at it next
        "dhaga_waiting",  # what it waits for, for reports
        "locals",  # dictionaries of threading.local objects, by the local's key
        "name",
        "on_end",  # who is told when it has ended
        "os_name",  # what the system would call its thread, if anybody has named that
    )

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hub = get_hub()
        greenlet.__init__(self, _run, hub.greenlet)
        self.dhaga_hub: Hub | None = hub
        self.dhaga_parks = 0
        self.dhaga_leads = False
        self.dhaga_parked = True
        self.dhaga_timed_out = False
        self.dhaga_deadline: float | None = None
        self.dhaga_timer_at: float | None = None
        self.dhaga_interrupts: deque[BaseException | Callable[[], object]] | None = None
        self.dhaga_waiting: object = "its start"
        self.name = _name_of(function)
        self.on_end: Ending | None = None
        self.os_name: str | None = None
        self.locals: dict[int, Any] | None = None
        self.again = False
        self._dhagapatch_token = id(self)
        self.call: tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]] | None = (function, args, kwargs)

    @property
    def ident(self) -> int:
        """The value of `threading.get_ident()` in this dhaga."""
        return self._dhagapatch_token  # `id(self)`, without another int

    def start(self) -> None:
        """Make it ready; it runs when its turn comes."""
        hub = self.dhaga_hub
        assert hub is not None
        hub.dhagas[self] = None
        try:
            hub.wake(self)
        except BaseException:
            del hub.dhagas[self]  # no memory: it never runs
            raise

    def kill(self) -> None:
        """Raise DhagaExit where it waits; a dhaga that has ended already is let be. From any OS thread."""
        if not self.dead and self.dhaga_hub is not None:
            self.dhaga_hub.interrupt(self, DhagaExit())

    def _end(self, pid: int) -> None:
        if _real.os_getpid() != pid and self.dhaga_hub is None:
            # the dhaga that forked ends in the child without having waited: a native thread's end would
            # end the process, as it is the only one
            os._exit(0)
        hub = self.dhaga_hub
        if hub is None and THREAD.hub is not None and THREAD.hub.host is not None:
            THREAD.hub.host.has_ended()  # it ran the loop that hosted the hub
            hub = self.dhaga_hub
        self._tell_end()
        if hub is not None:
            # HAZARD: the interpreter keeps them for the OS thread: what is left set would trace all others
            if sys.gettrace() is not None:
                _real.settrace(None)
                self.again = False  # a debugger has set one for each frame, too
            if hub.carries is not hub.always_carries:
                threadstate.drop_hooks(hub)
            hub.deadlines.forget(self)
            hub.dhagas.pop(self, None)
            if hub.main is self:  # likewise, with a hub; but the threads that it started run on
                while hub.dhagas:
                    hub.park(self, _real.monotonic() + _LOOK, "the threads of a forked child", self.dhaga_parks)
                os._exit(0)

    def at_end(self, ending: Ending) -> None:
        """Have `ending` told when this dhaga has ended, after those who are told already."""
        self.on_end = ending if self.on_end is None else _Both(self.on_end, ending)

    def drop_locals(self) -> None:
        """Let go of its thread-local data, which lives as long as its `local`.

        HAZARD: what its finalizers make goes, too, but once for each `local`: one that makes its own data again would never end.
        """
        dropped: set[int] = set()
        while self.locals and (fresh := set(self.locals) - dropped):  # no frame, of which a debugger would be told
            for key in fresh:
                dropped.add(key)
                data = self.locals.pop(key)()
                if data is not None:
                    data.dicts.pop(self, None)

    def forget_tools(self) -> None:
        """Drop the thread-local data, and the thread object, of what has run in it outside of its thread.

        HAZARD: a debugger that is told of each frame (`sys.monitoring`) is told of the runtime's too.  In one that comes before
        its thread is known to `threading`, or after that has forgotten it, it takes it for a foreign thread, and for good.
        """
        tools.call_unseen(self._forget_tools)

    def _forget_tools(self) -> None:
        forget_dummy_thread(self.ident)
        self.drop_locals()
        while self.locals:  # made again and again: it stays for as long as its `local`, as natively, but is nobody's
            _, reference = self.locals.popitem()
            data = reference()
            if data is not None:
                data.dicts[object()] = data.dicts.pop(self)

    def _tell_end(self) -> None:
        while self.on_end is not None:
            ending, self.on_end = self.on_end, None
            ending.thread_ended(self)


def _run() -> None:
    # a function: greenlet would call a method by one frame of C more, which is copied when threads are switched
    self: Dhaga = getcurrent()
    while True:
        function, args, kwargs = self.call  # type: ignore[misc]
        if self.dhaga_hub.buried:  # type: ignore[union-attr]
            self.again = False  # begun inside a callback: it would keep that depth of recursion
        pid = self.dhaga_hub.pid  # type: ignore[union-attr]
        self.dhaga_waiting = None
        self.call = None
        if self.locals is not None:
            self.forget_tools()
        try:
            if args or kwargs:
                function(*args, **kwargs)
            else:
                function()  # takes less of the C stack, which is copied when threads are switched
        except (SystemExit, DhagaExit, GreenletExit):
            pass
        except BaseException as error:
            _report(function, error)
        finally:
            if sys.getprofile() is not None:
                # HAZARD: the interpreter keeps it for the OS thread.  At once: what it is told of after `threading` has forgotten
                # the thread would make a dummy of it, in `current_thread`, and on 3.13 so would the end of that dummy
                profiles.keeper.take()
            # HAZARD: the function and its arguments may hold the last reference to something whose
            # finalizer waits; let go of them while this dhaga can still park.
            del function, args, kwargs
            self._end(pid)
            if self.locals is not None:
                self.forget_tools()
        hub = self.dhaga_hub
        if not self.again or hub is None or hub.abandoned or len(hub.spare) >= _SPARES:
            return
        if sys._getframe().f_trace is not None or monitoring_debugger() is not None:
            return  # a debugger's, of this thread; or one to whom each frame that comes from now on would be of a thread
        # a new thread has a context, and whatever else is due to a greenlet, of its own
        self.gr_context = None  # a property of greenlet
        self.__dict__.clear()
        self.os_name = None
        self._tell_end()  # HAZARD: a finalizer, called just now, has made thread-local data again
        self.dhaga_interrupts = None
        self.dhaga_waiting = "another thread"
        hub.await_thread(self)
        if self.call is None:
            return  # its hub ends; or it stood in the run queue once more, since a wait inside of a finalizer


ROOTS = {_run.__code__}  # what runs on top of them is the program's


def start_thread(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], on_end: Ending | None = None
) -> Dhaga:
    """Run `function` as a thread of this OS thread's hub, in a dhaga that may have run others before.

    Nobody may keep the dhaga longer than the thread lasts: like that of a native thread, its identity comes again.
    """
    hub = get_hub()
    check(len(hub.dhagas))
    spare = hub.spare
    name = _name_of(function)
    while spare:
        dhaga = spare.pop()
        if not dhaga.dead:  # a late wake, or who threw something into it, has ended it
            break
    else:
        dhaga = Dhaga(function, args, kwargs)
        dhaga.again = True
    dhaga.name = name
    dhaga.dhaga_waiting = "its start"
    dhaga.on_end = on_end
    dhaga.dhaga_parked = True
    dhaga.call = (function, args, kwargs)
    dhaga.start()
    return dhaga


def _name_of(function: Callable[..., Any]) -> str:
    try:
        return str(function.__name__)
    except Exception:
        return "dhaga"


def _report(function: Callable[..., Any], error: BaseException) -> None:
    """What the interpreter does with an exception that leaves a thread's function."""
    traceback = error.__traceback__
    if traceback is not None:
        traceback = traceback.tb_next  # this module's own frame is none of the user's business
    error.__traceback__ = traceback
    report_unraisable(error, *thread_message(function))


def report_unraisable(error: BaseException, message: str | None = None, thing: object = None) -> None:
    """What C code does with an exception that it can't raise."""
    hook_args = unraisable_arguments((type(error), error, error.__traceback__, message, thing))
    hook = vars(sys).get("unraisablehook") or sys.__unraisablehook__  # the program may have deleted it
    try:
        hook(hook_args)
    except BaseException as failure:
        message = "Exception ignored in sys.unraisablehook"
        sys.__unraisablehook__(unraisable_arguments((type(failure), failure, failure.__traceback__, message, hook)))


def spawn(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Dhaga:
    """Run `function` in a new dhaga of this OS thread.

    RuntimeError where no dhaga can run: an OS thread without a hub (call `get_hub()` there first), or no memory left.

    .. versionadded:: 0.1
    """
    if hub_for_wait() is None and current_hub() is None:
        raise RuntimeError("this OS thread runs no dhagas; call dhagapatch.get_hub() in it first")
    check(len(get_hub().dhagas))
    dhaga = Dhaga(function, args, kwargs)
    dhaga.start()
    return dhaga


def current_dhaga() -> Dhaga | None:
    """The dhaga that is running; None in the main dhaga, in a hub, and in a native thread.

    In a greenlet that a library made, the dhaga in which that was done.

    .. versionadded:: 0.1
    """
    dhaga = running_dhaga()
    if dhaga is not None:
        dhaga.again = False  # the caller may keep it, and it stands for this thread alone
    return dhaga


def running_dhaga() -> Dhaga | None:
    """As `current_dhaga`, for who does not keep it."""
    try:
        me: greenlet | None = getcurrent()
    except RecursionError:
        raise
    except RuntimeError:
        return None  # the interpreter's last moments
    while me is not None:
        if type(me) is Dhaga:
            return me
        if type(me) is HubGreenlet:
            return None
        me = me.parent
    return None


def find_dhaga(ident: int) -> Dhaga | None:
    """The dhaga, of any hub, whose `threading.get_ident()` this is; None for a native thread's, and the main dhaga's."""
    for hub in all_hubs():
        for dhaga in list(hub.dhagas):  # at once: other OS threads start and end theirs meanwhile
            if dhaga.ident == ident:
                return dhaga
    return None


def owner_token() -> int:
    """An integer for "this thread": a dhaga's identity, or a native thread's.

    The hub's own greenlet counts for `get_ident` as the thread that it runs in, but not here: it must not be
    let into a lock that the main dhaga holds.

    Dhagas, and the root greenlets of threads that have asked once, have it in a slot.
    """
    try:
        me = getcurrent()
    except RecursionError:
        raise
    except RuntimeError:
        return _real.get_ident()  # the interpreter's last moments
    above: greenlet | None = me
    while above is not None:
        if type(above) is Dhaga or type(above) is HubGreenlet:
            return id(above)
        above = above.parent
    if me.parent is None:
        me._dhagapatch_token = _real.get_ident()
    return _real.get_ident()
