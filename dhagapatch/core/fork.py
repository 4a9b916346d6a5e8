"""What a forked child does with the hubs that it finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from greenlet import getcurrent

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.hub import ABANDONED, FORKERS, HubGreenlet, all_hubs, set_main_thread
from dhagapatch.core.running import THREAD, thread_root
from dhagapatch.core.wakeup import discard_prepared, prepare

__all__ = ["after_fork_in_child", "begin_fork", "end_fork", "on_forked", "tell_forked"]

_forked: list[Callable[[], object]] = []


def begin_fork() -> None:
    """The current greenlet forks: it lets others run only if it must wait.

    In the child there are hooks of the standard library, and of the program, that come before the runtime's own.  What
    they do to locks may have been as much as the others should wait for; but there the others must not run at all.
    """
    FORKERS.add(getcurrent())


def end_fork() -> None:
    """It has forked, or failed to; in the child, when the parent's hub is left behind."""
    FORKERS.discard(getcurrent())


def after_fork_in_child(keep: bool = False) -> None:
    """The child has one dhaga, the one that forked; it gets a new hub when it waits.

    The parent's epoll instance must not be touched (it is shared), only our descriptors of it closed.  The child gets its own in
    their place, so that its first wait needs none; not if the program could close them (not `keep`).  The parent's other
    dhagas are kept for ever: to drop them would run their `finally` blocks here.
    """
    old = THREAD.hub
    hubs = all_hubs().copy()
    ABANDONED.extend(hubs)
    all_hubs().clear()
    for hub in hubs:
        hub.abandoned = True
        hub.close()
    discard_prepared()
    if keep:
        prepare()
    THREAD.clear()
    set_main_thread(_real.get_ident())
    me = getcurrent()
    ABANDONED.append(thread_root())
    if old is not None:
        one: Any = me
        while one is not None and type(one) is not HubGreenlet:  # a greenlet that a library made, and whose it is
            one.dhaga_hub = one.dhaga_timer_at = one.dhaga_deadline = None
            if hasattr(one, "dhaga_leads"):
                one.dhaga_leads = True
            one = one.parent
        thread_root().dhaga_hub = None


def on_forked(call: Callable[[], object]) -> None:
    """Call it in the parent after each `os.fork`, later than the interpreter's own hooks.

    Since 3.13 the interpreter looks after those whether there are other threads, and warns.
    """
    _forked.append(call)


def tell_forked() -> None:
    """A fork is over, in the parent."""
    for call in _forked:
        call()
