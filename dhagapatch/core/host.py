"""A hub in a thread where another loop runs, of a kind that can't be given our selector: uvloop, or any other asyncio loop.

Where the hub would wait in its poller it switches back to the greenlet in which the loop runs, and the loop gives it its turn
again when the poller's descriptor is ready or the next deadline is over.  So the loop's callbacks must not park: in its greenlet
patched calls behave natively, as in any coroutine of an unpatched program.

HAZARD: who wakes a dhaga from one of the loop's callbacks finds the hub idle; it must be notified, as by another OS thread.
Hence the hub's `waker` is nobody while it is hosted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from greenlet import getcurrent

from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import monitored, threadstate
from dhagapatch.core.hub import Hub, main_hub
from dhagapatch.core.interrupts import at_end_of_callback, deliver_all, deliver_handlers
from dhagapatch.core.running import running_loop, set_all_running_loops

if TYPE_CHECKING:
    import asyncio

__all__ = ["Host"]

_NOBODY = 0  # no OS thread's identity


class Host:
    """The running loop of the current greenlet, as the one that gives `hub` its time; RuntimeError where it can't.

    It ends with `close`, or when somebody has to wait in that greenlet after the loop has stopped.
    """

    def __init__(self, hub: Hub, loop: asyncio.AbstractEventLoop, automatic: bool = False) -> None:
        descriptor = hub.netpoll.poller.fileno()
        if descriptor is None:
            raise RuntimeError("this system has no poller with a descriptor (epoll, kqueue): another loop can't watch the hub")
        self.loop = loop
        self.automatic = automatic  # nobody has asked for it
        self.greenlet: Any = getcurrent()
        self.runners: list[Any] = []  # greenlets that run the hub's turns, or let it run them, and expect it to come back
        self._hub = hub
        self._timer: asyncio.Handle | None = None
        self._descriptor = descriptor
        self._pumping = False
        self._to_close = False
        loop.add_reader(descriptor, self._pump)
        hub.netpoll.on_idle = self._idle
        hub.waker = _NOBODY
        hub.host = self
        self.greenlet.dhaga_hub = None
        loop.call_soon(self._pump)  # whoever was ready before

    def _pump(self) -> None:
        """In the loop: give the hub its turn."""
        if self._hub.host is not self or getcurrent() is not self.greenlet or self.runners:
            return
        self._cancel_timer()
        if self._to_close:
            self.close()
            return
        loop, hooks = running_loop(), threadstate.take_hooks(self._hub)
        set_all_running_loops(None)
        own = threadstate.keeper.take(self._hub)  # the loop may run in a dhaga
        self._pumping = True
        self.runners.append(self.greenlet)
        try:
            monitored.switch(self._hub.greenlet)
        finally:
            self.runners.pop()
            self._pumping = False
            threadstate.keeper.put(self._hub, own)
            threadstate.put_hooks(self._hub, hooks)
            set_all_running_loops(loop)
        if self._to_close:
            self.close()
        # HAZARD: it does not park, so nobody else tells it: the main flow's signal handlers, and what they raise, leave the loop
        if self.greenlet.dhaga_interrupts is not None:
            (deliver_all if self.greenlet is self._hub.main else deliver_handlers)(self.greenlet)
        # HAZARD: all that the loop runs of Python may be this: a handler whose signal came here would be put off again and again
        if self.greenlet is self._hub.main and self._hub is main_hub():
            for call in at_end_of_callback:
                call()

    def resume(self) -> None:
        """One of the loop's callbacks has run the hub's turns itself: nobody waits for who is ready, or due later, yet."""
        if self._hub.host is self and not self.runners and self.loop.is_running():
            self.loop.call_soon_threadsafe(self._pump)

    def _idle(self, timeout: float | None) -> float | None:
        """In the hub: let the loop run until something happens, or for so many seconds; what is left for the poll.

        One of the loop's callbacks may wait, and run the hub's turns itself meanwhile (`HubParker`): it holds the loop
        up, as any callback does.  A greenlet of a library's, made before the hub was hosted, may park: so does that.
        """
        runner = self.runners[-1] if self.runners else None
        if runner is None or runner is getcurrent() or self.has_ended():
            return timeout
        if self._pumping and len(self.runners) == 1 and not self._to_close and timeout is not None:
            self._cancel_timer()
            self._timer = self.loop.call_later(timeout, self._pump) if timeout > 0 else self.loop.call_soon(self._pump)
        monitored.switch(runner)
        return 0.0

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def has_ended(self) -> bool:
        """Whether the loop has stopped; then the hub is its own master again."""
        if self.loop.is_running():
            return False
        self.close()
        return True

    def close(self) -> None:
        """From now on the hub waits in its own poller, and the greenlet may park; from a dhaga: at its next wait."""
        hub = self._hub
        if hub.host is not self:
            return
        if self.runners and self.loop.is_running():
            if not self._to_close:
                self._to_close = True  # the loop's greenlet waits for the hub to come back: first that
                self.loop.call_soon_threadsafe(self._pump)
            return
        hub.host = hub.netpoll.on_idle = None
        hub.waker = hub.ident
        self.greenlet.dhaga_hub = hub
        self._cancel_timer()
        if not self.loop.is_closed():
            self.loop.remove_reader(self._descriptor)
