"""Legacy code and coroutines in one program: a dhaga waits for an awaitable, a coroutine for blocking code.

Both live on the same OS thread.  The hub's own asyncio loop, which is Tornado's too, runs beside the dhagas; a loop of the
program's (`asyncio.run` in the main thread, or in a thread that is a dhaga) lets dhagas run while it waits in its selector;
one that waits in C, uvloop's for example, hosts the hub, and one whose selector is its own does so after `run_on`.

asyncio is imported by the first call, not before.
"""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from dhagapatch import _real
from dhagapatch._errors import DhagaExit
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import Dhaga, Hub, get_hub, hub_for_wait, make_parker, shield
from dhagapatch.core.dhaga import ROOTS
from dhagapatch.core.host import Host
from dhagapatch.core.hub import current_hub
from dhagapatch.core.running import running_loop
from dhagapatch.monkey import is_patched

if TYPE_CHECKING:
    import asyncio

__all__ = ["await_", "in_dhaga", "run_on"]

T = TypeVar("T")
_Call = tuple[contextvars.Context, Callable[..., Any], tuple[Any, ...], dict[str, Any]]


def _call_in(
    hub: Hub, loop: asyncio.AbstractEventLoop, call: Callable[[], Any], context: contextvars.Context | None = None
) -> None:
    """Have `loop` call it; a loop that is not the hub's own waits in a selector of its own, and must be told."""
    own = hub.host is None and hub.runs_beside(loop)
    (loop.call_soon if own else loop.call_soon_threadsafe)(call, context=context)


# a dhaga waits for an awaitable


class _Errand:
    """An awaitable that the loop runs for a dhaga."""

    def __init__(self, hub: Hub, awaitable: Any) -> None:
        self._hub = hub
        self._loop = hub.asyncio_loop
        self._awaitable = awaitable
        self._parker = make_parker()
        self._cancelled = False
        self.future: asyncio.Future[Any] | None = None
        self.error: BaseException | None = None
        # HAZARD: the task must be made in the loop: a factory for eager tasks would run its first steps here
        _call_in(hub, self._loop, self._start, contextvars.copy_context())

    def _start(self) -> None:
        import asyncio

        try:
            wanted = self._awaitable
            if callable(wanted) and not hasattr(wanted, "__await__"):
                wanted = wanted()
            self.future = asyncio.ensure_future(wanted, loop=self._loop)
        except BaseException as error:
            self.error = error
            self._parker.wake()
            return
        self.future.add_done_callback(self._done)
        if self._cancelled:
            self.future.cancel()

    def _done(self, future: asyncio.Future[Any]) -> None:
        self._parker.wake()

    def wait(self, deadline: float | None) -> bool:
        """False when the deadline is over."""
        return self._parker.park(deadline, f"{getattr(self._awaitable, '__qualname__', None) or self._awaitable!r} on the loop")

    def cancel(self) -> None:
        """Cancel it, and wait until it has ended; only signal handlers cut that short."""
        if self.future is not None and self.future.done():
            if not self.future.cancelled():
                self.future.exception()  # it counts as seen
            return
        if self.error is not None or not self._hub.runs_beside(self._loop) or self._loop.is_closed():
            return  # it has failed; or the loop that hosted the hub has ended, and nothing of it ever will
        self._cancelled = True
        if self.future is not None:
            _call_in(self._hub, self._loop, self.future.cancel)
        with shield():
            self.wait(None)


def await_(awaitable: Awaitable[T] | Callable[[], Awaitable[T]], timeout: float | None = None) -> T:
    """Wait, in a dhaga, for a coroutine, task, future or other awaitable, on the hub's own loop; its value, or what it raises.

    Other dhagas and the loop go on meanwhile.  A coroutine runs in a copy of the caller's context.  What must be made in
    the loop, as the futures of Tornado's `IOStream`, is given as a function: ``await_(lambda: stream.read_until(b"\\n"))``.

    TimeoutError after `timeout` seconds: then it has been cancelled.  It is cancelled, too, when the dhaga is killed while it
    waits; and if somebody else cancels it, asyncio.CancelledError is raised here.

    ValueError for a future of another loop, TypeError for what is not awaitable; RuntimeError where nobody can wait for the
    loop: in the loop itself, and on an OS thread that runs no dhagas.

    .. versionadded:: 0.1
    """
    hub = hub_for_wait()
    if hub is None:
        if current_hub() is not None:
            raise RuntimeError("await_() was called by the loop that it would wait for: a coroutine uses await")
        raise RuntimeError("this OS thread runs no dhagas; call dhagapatch.get_hub() in it first")
    if timeout is not None and timeout != timeout:
        raise ValueError("await_() takes a timeout in seconds, or None; got nan")
    deadline = None if timeout is None else _real.monotonic() + timeout
    errand = _Errand(hub, awaitable)
    try:
        in_time = errand.wait(deadline)
        if not in_time:
            errand.cancel()
    except BaseException:
        errand.cancel()
        raise
    future: Any = errand.future
    failure, errand.error = errand.error, None
    try:
        if failure is not None:
            raise failure
        if not in_time and (future is None or not future.done() or future.cancelled()):
            raise TimeoutError(f"it took longer than {timeout} s") from None
        return future.result()  # type: ignore[no-any-return]
    finally:
        future = failure = None
        del errand  # no cycle between an exception's traceback and this frame


# a coroutine waits for blocking code


class _Job:
    """A call in a dhaga of its own, for a coroutine."""

    def __init__(self, loop: asyncio.AbstractEventLoop, hub: Hub, call: _Call) -> None:
        self._loop = loop
        self._hub = hub
        self._call: _Call | None = call
        self._exits: list[DhagaExit] = []
        self._waiter: asyncio.Future[None] | None = None
        self.value: Any = None
        self.error: BaseException | None = None
        self.ended = False
        self._dhaga: Dhaga | None = Dhaga(self._run, (), {})
        self._dhaga.name = getattr(call[1], "__name__", "in_dhaga")
        self._dhaga.at_end(self)
        self._dhaga.start()

    def _run(self) -> None:
        call, self._call = self._call, None
        if call is None:
            return
        context, function, args, kwargs = call
        try:
            self.value = context.run(function, *args, **kwargs)
        except BaseException as error:
            self.error = error

    def thread_ended(self, dhaga: Dhaga, /) -> None:
        self.ended = True
        self._dhaga = dhaga.on_end = None
        if self._waiter is not None and not self._loop.is_closed():
            _call_in(self._hub, self._loop, self._tell)

    def _tell(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        """Until it has ended."""
        if not self.ended:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def cancel(self) -> None:
        """It does not begin, or ends at its next wait; if it has ended, that is too late."""
        self._exits.append(DhagaExit())
        self._call = None
        if self._dhaga is not None:
            self._hub.interrupt(self._dhaga, self._exits[-1])

    def has_seen(self) -> bool:
        """Whether each cancellation was raised in the code, which then did what it did."""
        return all(one.__traceback__ is not None for one in self._exits)


ROOTS.add(_Job._run.__code__)  # time slices interrupt what runs on top of it


async def in_dhaga(function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Run blocking code in a dhaga of its own, from a coroutine; its value, or what it raises.

    It runs on the same OS thread, in a copy of the caller's context; the loop goes on while it waits.  If the task is
    cancelled, the dhaga is killed: its present or next wait raises `DhagaExit`, which ``except Exception`` does not
    swallow, and the task waits until it has ended.  If somebody else kills the dhaga, asyncio.CancelledError is raised here.

    RuntimeError in a loop that does not let dhagas run: call `patch_all` first, or `run_on` in it.

    .. versionadded:: 0.1
    """
    import asyncio

    loop = asyncio.get_running_loop()
    hub = _hub_beside(loop)
    context = contextvars.copy_context()
    job = _Job(loop, hub, (context, function, args, kwargs))
    cancelled: BaseException | None = None
    failure: BaseException | None = None
    try:
        while not job.ended:
            try:
                await job.wait()
            except asyncio.CancelledError as error:
                cancelled = error
                job.cancel()
            except BaseException:  # it was closed, or something was thrown into it
                job.cancel()
                raise
        if isinstance(job.error, DhagaExit) or not job.has_seen():
            raise cancelled or asyncio.CancelledError("the dhaga was killed")
        if job.error is not None:
            failure, job.error = job.error, None
            raise failure
        return job.value  # type: ignore[no-any-return]
    finally:
        cancelled = failure = None
        del job  # no cycle between an exception's traceback and this frame


def _hub_beside(loop: asyncio.AbstractEventLoop) -> Hub:
    """The hub of this OS thread, if dhagas run while `loop`, the running one, waits."""
    from dhagapatch.green.loops import begin, is_foreign

    if is_foreign(loop) and is_patched("packages"):
        begin(loop)  # the first step of its first task
    hub = current_hub()
    if hub is not None and hub.runs_beside(loop):
        return hub
    hub = hub_for_wait()
    # HAZARD: a subclass may wait in ways of its own
    selector = type(getattr(loop, "_selector", None))
    if hub is None or not is_patched("select") or selector.__module__ != "selectors":
        raise RuntimeError(
            "dhagas do not run while this loop waits: call dhagapatch.patch_all() first, or "
            "dhagapatch.run_on(loop) while it runs"
        )
    return hub


def run_on(loop: Any = None) -> Host:
    """Have the running loop give this OS thread's hub its time, so that dhagas run beside its tasks.

    For a loop that can't be given our selector: one with a selector of its own, or uvloop's where nothing is patched; with
    `patch_all` that does so by itself, and this gives what can close it.  `loop` is the running asyncio loop (None: that
    one), or Tornado's `IOLoop` over it.  `await_` then waits on this loop.  Dhagas that are ready, and their descriptors
    and deadlines, cost the loop a turn each time; so it is slower than the hub's own loop.

    It ends when the loop does, or with the `close` of what is returned.

    RuntimeError if `loop` is not the one that runs here, or if it hosts the hub already, or is the hub's own.

    .. versionadded:: 0.1
    """
    running = running_loop()
    wanted = running if loop is None else getattr(loop, "asyncio_loop", loop)
    if running is None or wanted is not running:
        raise RuntimeError("run_on() is called in the loop that is to host the hub, while it runs: from one of its coroutines")
    hub = current_hub() or get_hub()
    if hub.host is not None and hub.host.loop is running and hub.host.automatic:
        hub.host.automatic = False
        return hub.host
    if hub.runs_beside(running):
        raise RuntimeError("dhagas run beside this loop already")
    if hub.host is not None and not hub.host.has_ended():
        raise RuntimeError("another loop hosts the hub of this OS thread, and runs; run this one on an OS thread of its own")
    return Host(hub, running)
