"""The optional compiled part, `_speedups`: told what it needs, and put in the place of what it stands for.

It is there if a C compiler was when the package was installed.  DHAGAPATCH_SPEEDUPS=0 leaves it out: everything runs as
written in Python, which is what each compiled function falls back on as well.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from dhagapatch import _real
from dhagapatch._errors import Interruption
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import monitored, profiles, sync, threadstate, tools
from dhagapatch.core.dhaga import Dhaga
from dhagapatch.core.entry import entry_method
from dhagapatch.core.extension import speedups
from dhagapatch.core.hub import BEYOND, Hub
from dhagapatch.core.interrupts import deliver_all, restore
from dhagapatch.core.netpoll import LEND_EVERY, LONGEST, POLL_EVERY, QUIET, STAYS, Entry, Netpoll
from dhagapatch.core.parker import DhagaParker
from dhagapatch.core.poller import MASKS, READ, WRITE
from dhagapatch.core.running import MODULES, SOURCE
from dhagapatch.core.waitq import WaitQueue, queue_of

__all__ = ["IN_PYTHON", "put", "speedups"]

IN_PYTHON: dict[tuple[type, str], Any] = {}  # what compiled methods have replaced, by class and name


def put(kind: type, methods: dict[str, Any]) -> None:
    """Put compiled methods, by name, in the place of those of a class."""
    for name, method in methods.items():
        IN_PYTHON[kind, name] = getattr(kind, name)
        setattr(kind, name, method)


def _worded(acquire: Any, model: Any, name: str) -> Any:
    """What a compiled `acquire` leaves to Python; what fits neither is refused by a native lock's method, in its own words."""

    def complain(_: object, /, *args: Any, **kwargs: Any) -> Any:
        return getattr(model(), name)(*args, **kwargs)

    return entry_method(acquire, acquire, 0, words=complain)


def _install() -> None:
    speedups.setup_core({
        "Dhaga": Dhaga, "Hub": Hub, "Netpoll": Netpoll, "Entry": Entry, "modules": MODULES, "source": SOURCE, "park": Hub.park,
        "catch_up": monitored.catch_up, "deliver_all": deliver_all,
        "READ": READ, "WRITE": WRITE, "STAYS": STAYS, "BEYOND": BEYOND,
        "real": _real, "yield_": Hub.yield_, "run": Netpoll.run, "turn": Hub._turn, "poll": Netpoll._poll, "MASKS": MASKS,
        "POLL_EVERY": POLL_EVERY, "LEND_EVERY": LEND_EVERY, "LONGEST": LONGEST, "QUIET": QUIET,
        "Mutex": sync.Mutex, "Lock": sync.Lock, "RLock": sync.RLock, "DhagaParker": DhagaParker, "WaitQueue": WaitQueue,
        "deque": deque, "queue_of": queue_of, "restore": restore, "Interruption": Interruption,
        "abandon_wait": sync.abandon_wait, "wait": sync.Mutex._wait,
        "lock_acquire": _worded(sync.Lock.acquire, _real.allocate_lock, "acquire"),
        "lock_acquire_lock": _worded(sync.Lock.acquire, _real.allocate_lock, "acquire_lock"), "lock_enter": sync.Lock.__enter__,
        "lock_release": sync.Lock.release, "lock_exit": sync.Lock.__exit__, "lock_is_owned": sync.Lock._is_owned,
        "lock_acquire_restore": sync.Lock._acquire_restore, "rlock_acquire": _worded(sync.RLock.acquire, _real.RLock, "acquire"),
        "rlock_enter": sync.RLock.__enter__, "rlock_release": sync.RLock.release, "rlock_exit": sync.RLock.__exit__,
    })  # fmt: skip
    methods = speedups.core_methods()
    # the names under which the same method is known
    methods["Lock"].update(dict.fromkeys(("_release_save", "_free"), methods["Lock"]["release"]))
    for kind in (Hub, Netpoll, sync.Mutex, sync.Lock, sync.RLock):
        put(kind, methods[kind.__name__])
    profiles.keeper = profiles.CompiledProfiles(speedups.take_profile, speedups.put_profile)
    threadstate.set_keeper(threadstate.Reachable(speedups))
    Hub.always_carries = True
    monitored.use_compiled(speedups.switch_away)
    tools.keeper = tools.Tools(speedups.sees_tools, speedups.leave_tools, speedups.enter_tools)
    Netpoll.mark = staticmethod(speedups.mark)  # type: ignore[method-assign]


if speedups is not None:
    _install()
