"""Waiting for descriptors, and what becomes of those who wait when a descriptor is closed or comes anew.

A descriptor belongs to the process, readiness to each hub: so closing one concerns all hubs.
"""

from __future__ import annotations

from greenlet import getcurrent, greenlet

from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.hub import Hub, all_hubs
from dhagapatch.core.netpoll import Entry
from dhagapatch.core.poller import READ

__all__ = ["forget_descriptor", "renew_descriptor", "wait_entry", "wake_all"]


def forget_descriptor(fd: int) -> list[tuple[Hub, greenlet]]:
    """`fd` is about to be closed: each hub forgets it. Those who wait for it, for `wake_all` after the close.

    HAZARD: woken before the close they could, on another OS thread, try, fail and wait again for a number
    that is closed a moment later.
    """
    waiting = []
    for hub in all_hubs():
        entry = hub.netpoll.forget(fd)
        if entry is not None:
            waiting += [(hub, sleeper) for sleeper in (*entry.readers, *entry.writers)]
    return waiting


def wake_all(waiting: list[tuple[Hub, greenlet]]) -> None:
    """Wake each of them in its hub."""
    for hub, sleeper in waiting:
        if sleeper is getcurrent():
            # HAZARD: a finalizer closes what its own dhaga is about to wait for: that park, not begun yet, is over already
            sleeper.dhaga_parks += 1
        else:
            hub.wake(sleeper)


def renew_descriptor(fd: int) -> None:
    """`fd` has come anew: what was known of that number counts no more."""
    for hub in all_hubs():
        if fd in hub.entries:
            wake_all([(hub, sleeper) for sleeper in hub.netpoll.renew(fd)])


def wait_entry(hub: Hub, entry: Entry, direction: int, deadline: float | None, afresh: bool = False, seen: int = -1) -> bool:
    """Park until `entry` may be ready in `direction`; False when `deadline` is over. `seen`: how often the caller had been
    resumed when the entry was not ready.

    OSError (EPERM, EBADF) for a descriptor that can't be waited for.
    """
    me = getcurrent()
    if seen < 0:
        seen = me.dhaga_parks
    if not afresh and hub.entries.get(entry.fd) is not entry:
        return True  # HAZARD: a finalizer has closed it since it was looked up; the call will tell
    if afresh or not entry.registered or hub.netpoll.poller.one_shot:
        hub.netpoll.watch(entry, direction, afresh)
    queue = entry.readers if direction == READ else entry.writers
    queue.append(me)
    try:
        return hub.park(me, deadline, entry, seen)
    finally:
        if queue and me in queue:  # timed out, interrupted, or woken by a stale hint
            queue.remove(me)
