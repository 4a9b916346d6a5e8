"""Time slices: a dhaga that has run for its slice makes room for the others, between two instructions, as a thread would.

A timer sends a signal every half slice.  Whoever runs at two signals in a row, without a wait in between, has had its
slice.  Where it must not be interrupted the next signal comes sooner.  A signal that finds the hub waiting stops the timer, and
the end of that wait starts it again: an idle program pays for one signal.

The timer is over the wall clock.  One over CPU time would stand still by itself while the hub waits, but kernels look at those
only when their own clock ticks, and on a busy machine half a second of CPU time may pass without (measured on Linux 6.18).

Not interrupted is: the runtime itself, an import, a call of C code, and Python code that was called by C code which may hold
something that knows OS threads only (the lock of a buffer, the list of objects whose `repr` is being made), finalizers among it.

It is a POSIX timer, with a real-time signal: unlike an interval timer the program does not use it too, and neither a
forked child nor the next program after an exec has it.  A child makes its own.
"""

from __future__ import annotations

import _signal
import atexit
import ctypes
import os
import signal as _stdlib
from types import FrameType
from typing import Any

from greenlet import getcurrent

from dhagapatch import _frames, _real
from dhagapatch._ctypes import add_pending_call, signal_at_next_look
from dhagapatch._errors import DhagapatchError
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.dhaga import ROOTS
from dhagapatch.core.hub import Hub, current_hub, in_main_thread, main_hub, on_new_hub, parking_hub
from dhagapatch.core.poller import POLLS
from dhagapatch.green.signal import OWN_SIGNALS, hide_wakeup_fd

__all__ = ["LEAST", "holds_nothing", "slice_the_rest", "start", "stop"]

_OF_THE_REST = 0.05  # seconds: of the dhagas that are left when the patch is taken back
_PATIENCE = 10  # half slices: so long one of them may be within a block that may hold a lock
LEAST = 0.0002  # seconds: the shortest slice, and when it is tried again where there was no place
_SIGNAL: int = getattr(_stdlib, "SIGRTMAX", 0) - 5
_MONOTONIC = 1  # CLOCK_MONOTONIC
_BY_SIGNAL = 0  # SIGEV_SIGNAL
_RUNTIME = __name__.rpartition(".green.")[0] + "."
_IMPORTS = ("importlib._bootstrap", "importlib._bootstrap_external", "_frozen_importlib", "_frozen_importlib_external")


class _Event(ctypes.Structure):
    """``struct sigevent``."""

    _fields_ = (
        ("value", ctypes.c_void_p), ("signo", ctypes.c_int), ("notify", ctypes.c_int), ("_rest", ctypes.c_char * 48),
    )  # fmt: skip


class _Spec(ctypes.Structure):
    """``struct itimerspec``: the interval and the first time, in seconds and nanoseconds each."""

    _fields_ = tuple((name, ctypes.c_long) for name in ("every_s", "every_ns", "first_s", "first_ns"))


class _Timer:
    """A timer that sends the signal every so many seconds, once it is started."""

    def __init__(self, interval: float) -> None:
        library: Any = ctypes.CDLL(None, use_errno=True)
        if not hasattr(library, "timer_create"):
            library = ctypes.CDLL("librt.so.1", use_errno=True)  # before glibc 2.34
        self._set_time = library.timer_settime
        self._delete = library.timer_delete
        self._id = ctypes.c_void_p()
        self._interval = interval
        self._closed = False
        event = _Event(None, _SIGNAL, _BY_SIGNAL)
        self._check(library.timer_create(_MONOTONIC, ctypes.byref(event), ctypes.byref(self._id)))

    @staticmethod
    def _check(code: int) -> None:
        if code:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def start(self) -> None:
        """Send a signal each interval."""
        self.next_in(self._interval)

    def next_in(self, seconds: float) -> None:
        """The next signal after `seconds`, and then one each interval; with 0 none at all."""
        if self._closed:
            return  # from another OS thread, while the hub waited, which starts it when the wait is over
        every, first = divmod(round(self._interval * 1e9), 10**9), divmod(round(seconds * 1e9), 10**9)
        self._check(self._set_time(self._id, 0, ctypes.byref(_Spec(*every, *first)), None))

    def close(self) -> None:
        """No signal comes any more."""
        self._closed = True
        self._delete(self._id)


class _Slices:
    """The slices of the main OS thread; only there signal handlers run."""

    def __init__(self, seconds: float) -> None:
        self.pid = os.getpid()
        self._ran: tuple[int, int] = (0, 0)  # who, and since which resumption
        self._most = seconds / 2
        self._retry = LEAST
        self._patience = _PATIENCE
        self._timer = _Timer(seconds / 2)
        self.go_on = self._timer.start
        self.go_on()

    def tick(self, frame: FrameType | None) -> None:
        """Half a slice is over."""
        if frame is None:
            return
        hub = parking_hub()
        if _until_they_end and not getattr(current_hub(), "dhagas", None):
            stop()
            return
        if hub is None:
            hub = current_hub()
            if hub is None:
                self._timer.next_in(0)  # until there is one
            elif frame.f_code in POLLS:
                # HAZARD: only there; the hub looks at `on_busy` after each poll, and not between that and a switch
                self._timer.next_in(0)
                hub.netpoll.on_busy.append(self.go_on)
            return
        me = getcurrent()
        running = (id(me), me.dhaga_parks)
        if running != self._ran:
            self._ran = running
            self._retry = LEAST
            self._patience = _PATIENCE
        elif _until_they_end and self._must_go_on(me is hub.main, frame):
            pass
        elif not holds_nothing(frame):
            self._timer.next_in(self._retry)
            self._retry = min(self._retry * 2, self._most)
        elif not _frames.is_interruptible(frame):
            _at_next_check()
        else:
            hub.preempt(me)

    def _must_go_on(self, is_main: bool, frame: FrameType) -> bool:
        """Of those that `slice_the_rest` is about: whether it may hold a native lock, and has not run for very long."""
        self._patience -= 1
        return is_main or (self._patience > 0 and not _frames.is_between_blocks(frame))

    def close(self) -> None:
        if self.pid == os.getpid():
            self._timer.close()


_slices: _Slices | None = None
_prepared = False
_wanted = 0.0  # seconds
_until_they_end = False  # nothing is patched any more, and some dhagas are left
_before: Any = None  # the handler that the signal had


def _handle(signum: int, frame: FrameType | None) -> None:
    if _slices is not None:
        _slices.tick(frame)


def _at_next_check() -> None:
    """Have the handler called again as soon as the interpreter looks for signals in the frame that it interrupted.

    Most of a loop's time may pass in the C functions that it calls: then every signal is seen when one of them returns.
    HAZARD: this must be the last thing that the handler does.  The interpreter looks for signals in the handler's own
    frames too; so what it calls there, after it has looked, is only what sends the signal.
    """
    signal_at_next_look(_SIGNAL)


def holds_nothing(frame: FrameType) -> bool:
    """Whether, as far as the callers of this innermost frame tell, its dhaga may be switched away from."""
    at: FrameType | None = frame
    while at is not None:
        if at.f_code in ROOTS:
            return True
        module = str(at.f_globals.get("__name__", ""))
        if module.startswith(_RUNTIME) or module in _IMPORTS or not _frames.may_run_on_later(at):
            return False
        at = at.f_back
    return True


def start(seconds: float) -> None:
    """Give each dhaga of the main OS thread slices of `seconds`; again, to change them.

    Called in another OS thread, which can't set the handler of a signal, it is done by the main one: at its next wait, or when it
    gets its hub.
    DhagapatchError where they can't be had: another interpreter, another system.
    """
    global _slices, _prepared, _wanted, _before
    if not _frames.check():
        raise DhagapatchError("time slices need CPython's own frames: leave out timeslice with this interpreter")
    if not _prepared:
        _prepared = True
        # HAZARD: at its end the interpreter gives the signal back its default action, which ends the process
        atexit.register(stop)
        os.register_at_fork(after_in_child=_start_wanted)
        on_new_hub(_on_hub)
    stop()
    _wanted = seconds
    if not in_main_thread():
        hub = main_hub()
        if hub is not None:
            hub.interrupt(hub.main, _start_wanted)
        return
    OWN_SIGNALS.add(_SIGNAL)
    hide_wakeup_fd(True)
    before = _real.set_signal(_SIGNAL, _handle)  # before the first signal can come
    if before is not _handle:
        _before = before
    _real.siginterrupt(_SIGNAL, False)  # a system call in C code goes on after it
    try:
        _slices = _Slices(seconds)
    except (OSError, AttributeError) as error:
        stop()
        raise DhagapatchError(f"time slices need POSIX timers, which are not there ({error}): leave out timeslice") from None


def stop() -> None:
    """No more time slices.  From another thread than the main one the handler stays, and has nothing to do."""
    global _slices, _wanted, _until_they_end
    _wanted, _until_they_end = 0.0, False
    if _slices is not None:
        _slices.close()
        _slices = None
    if in_main_thread() and _SIGNAL in OWN_SIGNALS:
        OWN_SIGNALS.discard(_SIGNAL)
        hide_wakeup_fd(False)
        _real.set_signal(_SIGNAL, _signal.SIG_IGN)  # one that is under way is dropped
        if _before is not None:
            _real.set_signal(_SIGNAL, _before)


def slice_the_rest() -> None:
    """Nothing is patched any more: the main OS thread's dhagas that are left have slices until they end.

    What they call from now on does not let the others run, so who waits by means of the runtime might wait for ever.
    Where there are no time slices, they run as they can.

    HAZARD: their locks are native now.  Who is switched away from while it holds one stops the OS thread with the next who wants
    it: so the main flow has no slices, who is inside of a ``with`` block has more time, and the slices are long.
    """
    global _until_they_end
    hub = main_hub()
    if hub is None or not hub.dhagas:
        stop()  # in a forked child they are gone
        return
    if not in_main_thread():
        # HAZARD: at once: none of them may ever wait again, and what is due to one at its next wait would never come
        add_pending_call(_slice_the_rest_there, None)
        return
    try:
        start(_OF_THE_REST)
    except DhagapatchError:
        return
    _until_they_end = True


def _pending(_: Any) -> int:
    slice_the_rest()
    return 0


_slice_the_rest_there = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(_pending)


def _start_wanted() -> None:
    if _until_they_end:
        slice_the_rest()
    elif _wanted:
        start(_wanted)


def _on_hub(hub: Hub) -> None:
    if not in_main_thread():
        return
    hide_wakeup_fd(_wanted > 0)
    if _slices is None:
        _start_wanted()
    else:
        _slices.go_on()
