"""Signals: handlers run in the main dhaga, which wakes for them from whatever it waits for.

The interpreter calls a handler in the main OS thread, between two bytecodes of whatever greenlet runs there.  So
every Python handler is installed inside a `_Relay`, which looks where it has been called: in the main dhaga it calls
the handler on the spot; elsewhere it has the main dhaga call it.

Between two steps of the runtime no handler may run, as what it raises would come there.  Then it is left due, and a signal of the
runtime's own is tripped: the interpreter calls its handler when it looks for signals again, and so on until it looks in the
program's own frame.  It does so when a call of C code has ended, and every patched call is one (`core.entry`): so the handler
runs at the end of the call into which its signal came.  No signal is sent for that: it is a flag of the interpreter's.

Relays are
installed with the patch (or, if that is made in another OS thread, with the main thread's hub), and by `signal.signal` from
then on; `getsignal` shows the user's own handler.
"""

from __future__ import annotations

import _signal
import _thread
import signal as _stdlib
import sys
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from types import CodeType, FrameType
from typing import Any

from greenlet import getcurrent

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch._real import pristine
from dhagapatch.core import Hub, hub_for_wait, running_dhaga, start_helper
from dhagapatch.core.budget import LOOK, charge
from dhagapatch.core.deadlock import quiet_exceptions
from dhagapatch.core.dhaga import find_dhaga
from dhagapatch.core.extension import speedups
from dhagapatch.core.hub import all_hubs, current_hub, in_main_thread
from dhagapatch.core.interrupts import at_end_of_callback
from dhagapatch.green.asyncexc import signalled
from dhagapatch.green.sigmask import HOWS, MASKS, PENDING, SIGNALS, change_mask, valid_set
from dhagapatch.green.wording import worded_by

__all__ = [
    "OWN_SIGNALS", "PLACES", "getsignal", "hide_wakeup_fd", "install", "mask_of_child", "pause", "pthread_kill",
    "pthread_sigmask", "put_off", "raise_signal", "set_wakeup_fd", "signal", "uninstall",
]  # fmt: skip

_c_signal, _c_getsignal = pristine(_signal, "signal"), pristine(_signal, "getsignal")
_c_pause = pristine(_signal, "pause")
_c_pthread_kill = pristine(_signal, "pthread_kill")
_c_pthread_sigmask = pristine(_signal, "pthread_sigmask")
_c_raise_signal = pristine(_signal, "raise_signal")
_c_set_wakeup_fd = pristine(_signal, "set_wakeup_fd")
_interrupt_main = pristine(_thread, "interrupt_main")
_RUNTIME = __name__.rpartition(".green.")[0]
_LOOK_AGAIN = 0.0005  # seconds
OWN_SIGNALS: set[int] = set()  # whose handlers are the runtime's
_main_hub: Hub | None = None
_relaying = False
_deliveries = 0
_paused: list[Any] = []
_HIGHEST, _LOWEST = getattr(_stdlib, "SIGRTMAX", 0) - 7, getattr(_stdlib, "SIGRTMIN", 0)


_hides = False
_hidden_fd = -1  # the program's wake-up descriptor, while the interpreter is not told of it
PLACES: set[CodeType] = set()  # the runtime's own code in whose frames handlers may run, as in the program's
_due: list[int] = []  # signals whose handlers are left for the next look
_is_muted = False
_looks = False  # it has been asked for, and `_deliver` is still to come
_own = 0  # the signal that has the interpreter look again
_lent = 0  # where none is free for that: one of those that are due, until its relay is called once more


class _Relay:
    """Stands in the interpreter's table for the user's handler."""

    __slots__ = ("handler",)

    def __init__(self, handler: Any) -> None:
        self.handler = handler

    def __call__(self, signum: int, frame: FrameType | None) -> Any:
        if signum == _lent:
            return _deliver(signum, frame)
        hub = _main_hub if _main_hub in all_hubs() else None
        me = getcurrent()
        if _hidden_fd >= 0:
            _tell_wakeup(signum)
        if (hub is None or me is hub.main) and _is_at_work(frame):
            _due.append(signum)
            _mute()
            _look_again()  # HAZARD: last, see there
            return None
        if hub is None:
            return self.handler(signum, frame)
        _count_delivery(hub)
        if me is hub.main:
            return self.handler(signum, _of_user(frame))
        hub.interrupt(hub.main, partial(_handle, self.handler, signum))
        return None


def _tell_wakeup(signum: int) -> None:
    """What the interpreter would have done when the signal came."""
    try:
        _real.os_write(_hidden_fd, bytes((signum,)))
    except OSError:
        pass  # full, or closed


if speedups is not None:
    _signal_at_next_look: Callable[[int], bool] = speedups.signal_at_next_look
else:
    from dhagapatch._ctypes import signal_at_next_look as _signal_at_next_look


def hide_wakeup_fd(hides: bool) -> None:
    """Keep the program's wake-up descriptor from the interpreter, or give it back: for who sends signals to itself.

    The interpreter writes the number of each signal there; those of the program are written by the relays, its own are not.  Not
    where uvloop runs, or another loop hosts the hub: that waits in C, and sees a signal by its descriptor only.
    """
    global _hides, _hidden_fd
    _hides = hides
    if not in_main_thread():
        return
    hosted = (_main_hub is not None and _main_hub.host is not None) or "uvloop" in sys.modules
    if hides and _hidden_fd < 0 and not hosted:
        _hidden_fd = _c_set_wakeup_fd(-1)
    elif not hides and _hidden_fd >= 0:
        fd, _hidden_fd = _hidden_fd, -1
        try:
            _c_set_wakeup_fd(fd, warn_on_full_buffer=False)
        except (OSError, ValueError):
            pass  # closed meanwhile


def _mute() -> None:
    """While a handler is due, the program's wake-up descriptor is not told of the runtime's own signal; relays tell it of others.

    HAZARD: a loop in C that reads it until nothing more comes would never end.
    """
    global _hidden_fd, _is_muted
    if _hidden_fd < 0:
        _hidden_fd = _c_set_wakeup_fd(-1)
        _is_muted = _hidden_fd >= 0


def _unmute() -> None:
    """Nothing is due any more."""
    global _hidden_fd, _is_muted
    if _is_muted:
        _is_muted = False
        if not _hides:
            fd, _hidden_fd = _hidden_fd, -1
            try:
                _c_set_wakeup_fd(fd, warn_on_full_buffer=False)
            except (OSError, ValueError):
                pass  # closed meanwhile


def _look_again() -> None:
    """Have `_deliver` called when the interpreter looks for signals, next but one.

    HAZARD: this must be the last thing that a handler of ours does: the interpreter looks in the handler's own frames too.  And
    once only until then: what is asked for twice comes while the second is being asked for, again and again.
    """
    global _looks, _lent
    if _looks:
        return
    _looks = True
    _lent = 0 if _own else _due[0]
    if not _signal_at_next_look(_own or _lent):
        start_helper(_look_later)


def _look_later() -> None:
    _real.sleep(_LOOK_AGAIN)
    _interrupt_main(_own or _lent)
    if _main_hub is not None:
        _main_hub.notify()  # HAZARD: by now it may wait, and what was tripped does not end that


def _deliver(signum: int, frame: FrameType | None) -> None:
    """The handlers that are due; those that are set by now."""
    global _looks, _lent
    _looks, _lent = False, 0
    if not _due:
        return
    hub = _main_hub if _main_hub in all_hubs() else None
    if hub is not None and getcurrent() is not hub.main:
        while _due:
            _count_delivery(hub)
            hub.interrupt(hub.main, partial(_late, _due.pop(0)))
        _unmute()
    elif _is_at_work(frame):
        _look_again()
    else:
        try:
            while _due:
                if hub is not None:
                    _count_delivery(hub)
                _call(_due.pop(0), frame)
        finally:
            if not _due:
                _unmute()
            else:  # one has raised: the others are due at the next look, as natively
                _look_again()


def _run_due() -> None:
    """In the main thread, where no frame of the program's is: the handlers that are due."""
    try:
        while _due:
            _call(_due.pop(0), sys._getframe())
    finally:
        if not _due:
            _unmute()


at_end_of_callback.append(_run_due)


def _late(signum: int) -> None:
    """Called where the main dhaga waits."""
    _call(signum, sys._getframe())


def _call(signum: int, frame: FrameType | None) -> None:
    handler = _user(_c_getsignal(signum))
    if _known(handler):
        handler(signum, _of_user(frame))


def _count_delivery(hub: Hub) -> None:
    global _deliveries
    _deliveries += 1
    for sleeper in _paused:
        hub.wake(sleeper)


def put_off(main: Any) -> None:
    """The handlers that are due in the main dhaga, which is inside of C code: they come when the interpreter looks next."""
    kept = deque[Any]()
    while main.dhaga_interrupts:
        what = main.dhaga_interrupts.popleft()
        if isinstance(what, partial) and what.func in (_handle, _late):
            _due.append(what.args[-1])
        else:
            kept.append(what)
    main.dhaga_interrupts = kept or None
    if _due:
        _mute()
        _look_again()


def _handle(handler: Any, signum: int) -> None:
    """Called where the main dhaga waits; the frame that the handler sees is the user's."""
    handler(signum, _of_user(sys._getframe()))


def _of_user(frame: FrameType | None) -> FrameType | None:
    while _in_runtime(frame):
        frame = frame.f_back  # type: ignore[union-attr]
    return frame


def _in_runtime(frame: FrameType | None) -> bool:
    return frame is not None and str(frame.f_globals.get("__name__", "")).startswith(_RUNTIME + ".")


def _is_at_work(frame: FrameType | None) -> bool:
    """Whether the runtime is between two steps in this innermost frame."""
    return _in_runtime(frame) and frame.f_code not in PLACES  # type: ignore[union-attr]


def _known(handler: Any) -> bool:
    """Whether it is a Python handler, and not SIG_DFL, SIG_IGN or None."""
    return callable(handler) and not isinstance(handler, int)


def install(hub: Hub | None = None) -> None:
    """In the main thread, when it is patched and when its hub is made: put every handler that is set into a relay."""
    global _main_hub, _relaying
    if not in_main_thread():
        return
    _main_hub = hub or current_hub()
    _relaying = True
    _choose_own()
    for signum in _stdlib.valid_signals():
        try:
            handler = _c_getsignal(signum)
        except (OSError, ValueError):
            continue
        if _known(handler) and not isinstance(handler, _Relay) and signum not in OWN_SIGNALS:
            _c_signal(signum, _Relay(handler))


def uninstall() -> None:
    """Take the relays out; only the main thread may set handlers, elsewhere they stay (and do no harm)."""
    global _main_hub, _relaying
    _relaying = False
    if not in_main_thread():
        return
    _main_hub = None
    if _own and _c_getsignal(_own) is _deliver:
        _c_signal(_own, _signal.SIG_DFL)
        OWN_SIGNALS.discard(_own)
    for signum in _stdlib.valid_signals():
        handler = _c_getsignal(signum)
        if isinstance(handler, _Relay):
            _c_signal(signum, handler.handler)


def _choose_own(besides: int = 0) -> None:
    """A signal for `_look_again` that nobody uses; one that the program comes to use is let go."""
    global _own
    if _own and _own != besides and _c_getsignal(_own) is _deliver:
        return
    OWN_SIGNALS.discard(_own)
    _own = 0
    for signum in range(_HIGHEST, _LOWEST, -1):
        if signum != besides and signum not in OWN_SIGNALS and _c_getsignal(signum) == _signal.SIG_DFL:
            _c_signal(signum, _deliver)
            OWN_SIGNALS.add(signum)
            _own = signum
            return


def _has_handlers() -> bool:
    """Whether the user waits for signals: a handler may end any wait, so nothing is a deadlock then."""
    for signum in _stdlib.valid_signals():
        handler = _c_getsignal(signum)
        if isinstance(handler, _Relay) and handler.handler is not _stdlib.default_int_handler:
            return True
    return False


def _ctrl_c_may_come() -> bool:
    """Whether the main dhaga waits for an event, for ever: so programs wait for Ctrl-C, while daemon threads do the work."""
    if _main_hub is None or not isinstance(handler := _c_getsignal(_stdlib.SIGINT), _Relay):
        return False
    if handler.handler is not _stdlib.default_int_handler:
        return False
    frame = _main_hub.main.gr_frame
    while frame is not None and _in_runtime(frame):
        frame = frame.f_back
    wait = (threading.Condition.wait.__code__, threading.Event.wait.__code__)
    return frame is not None and frame.f_back is not None and (frame.f_code, frame.f_back.f_code) == wait


def _timer_runs() -> bool:
    """Whether an alarm has been set: its signal may end the process."""
    return any(_stdlib.getitimer(which)[0] for which in (_stdlib.ITIMER_REAL, _stdlib.ITIMER_VIRTUAL, _stdlib.ITIMER_PROF))


quiet_exceptions += [_has_handlers, _ctrl_c_may_come, _timer_runs]


def _in_main_dhaga() -> bool:
    """Whether the caller is not another thread than the main one, as the program sees it."""
    dhaga = running_dhaga()
    return dhaga is None or dhaga.dhaga_leads


@worded_by(_c_signal)
def signal(signalnum: Any, handler: Any, /) -> Any:
    global _looks, _lent
    if not _in_main_dhaga():
        raise ValueError("signal only works in main thread of the main interpreter")
    charge(LOOK, True)
    if _relaying and type(signalnum) is not str and signalnum == _own:
        _choose_own(int(_own))  # the program wants this one
        _looks = False
        _c_signal(signalnum, _signal.SIG_DFL)
    elif type(signalnum) is not str and signalnum == _lent:  # the next look is asked for by the next that is due
        _looks, _lent = False, 0
    if _relaying and _known(handler):
        handler = _Relay(handler)
    return _user(_c_signal(signalnum, handler))


@worded_by(_c_getsignal)
def getsignal(signalnum: int, /) -> Any:
    return _user(_c_getsignal(signalnum))


def _user(handler: Any) -> Any:
    if handler is _deliver:
        return _stdlib.SIG_DFL
    return handler.handler if isinstance(handler, _Relay) else handler


@worded_by(_c_pause)
def pause() -> None:
    hub = hub_for_wait()
    if hub is None:
        return _c_pause()
    me = getcurrent()
    seen = _deliveries
    _paused.append(me)
    hub.waits_for_signal += 1
    try:
        while True:
            parks = me.dhaga_parks
            if seen != _deliveries:
                break
            hub.park(me, None, "a signal", parks)
    finally:
        hub.waits_for_signal -= 1
        _paused.remove(me)
    return None


def _pthread_kill(thread_id: int, signalnum: int, /) -> None:
    dhaga = find_dhaga(thread_id)
    if dhaga is not None and dhaga.dhaga_hub is not None:
        if signalnum in MASKS.get(dhaga, ()):
            dhaga.again = False  # it is kept here
            PENDING.setdefault(dhaga, set()).add(signalnum)
            return
        thread_id = dhaga.dhaga_hub.ident
        if signalnum in SIGNALS and callable(getsignal(signalnum)):
            signalled(dhaga)
    _c_pthread_kill(thread_id, signalnum)


_pthread_kill.__name__ = _pthread_kill.__qualname__ = "pthread_kill"
pthread_kill = worded_by(_c_pthread_kill)(_pthread_kill)


def _raise_signal(signalnum: int, /) -> None:
    charge(LOOK, True)  # programs raise them in a loop until another thread has seen one
    _c_raise_signal(signalnum)


@worded_by(_c_pthread_sigmask)
def pthread_sigmask(how: int, mask: Any, /) -> set[int]:
    """The main dhaga's mask is that of the OS thread, where handlers run; another dhaga's is only kept (`sigmask`)."""
    me = None if _in_main_dhaga() else running_dhaga()
    wanted = valid_set(mask) if me is not None and how in HOWS else None
    if me is None or wanted is None:
        return set(_c_pthread_sigmask(how, mask))
    before = MASKS.get(me)
    if before is None:
        before = frozenset(_c_pthread_sigmask(_stdlib.SIG_BLOCK, ()))
    for signum in change_mask(me, how, wanted, before):
        _c_raise_signal(signum)
    return set(before)


def mask_of_child() -> None:
    """A forked child's main flow has the mask of the dhaga that forked, and nothing that is due to its parent."""
    global _looks, _lent
    _looks, _lent = False, 0
    _due.clear()
    _unmute()
    me = running_dhaga()
    if me is not None and me in MASKS:
        _c_pthread_sigmask(_stdlib.SIG_SETMASK, MASKS.pop(me))


# what is sent in these is handled in these: a second one must not find it pending
PLACES |= {_pthread_kill.__code__, _raise_signal.__code__}
_raise_signal.__name__ = _raise_signal.__qualname__ = "raise_signal"
raise_signal = worded_by(_c_raise_signal)(_raise_signal)


@worded_by(_c_set_wakeup_fd)
def set_wakeup_fd(fd: int, /, *, warn_on_full_buffer: bool = True) -> int:
    global _hidden_fd, _is_muted  # from any dhaga: uvloop looks at the OS thread, and would be told that it is in the wrong one
    before = _c_set_wakeup_fd(fd, warn_on_full_buffer=warn_on_full_buffer)
    if _hidden_fd >= 0:
        before, _hidden_fd, _is_muted = _hidden_fd, -1, False
    if _hides:
        hide_wakeup_fd(True)
    return before
