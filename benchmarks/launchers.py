"""The table of what programs run on: literals only. A later peer is a row here."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["LAUNCHERS", "OURS", "THREADS", "Launcher"]


class Launcher(NamedTuple):
    """How a program is started: `python *prefix prog.py`.

    With `rewrite` it runs another program than the others do, `prog<rewrite>.py *extra`: the same traffic, rewritten by
    hand for something that is not threads. Only the cases that name it have such a program.
    """

    name: str
    prefix: tuple[str, ...]
    package: str  # what must be installed for it; "" for nothing
    patch: str = ""  # what a program writes that patches by itself; "" if there is nothing to patch
    rewrite: str = ""
    extra: tuple[str, ...] = ()


OURS, THREADS = "dhagapatch", "threads"

LAUNCHERS = (  # in the order of each round
    Launcher(THREADS, (), ""),
    Launcher("gevent", ("-m", "gevent.monkey"), "gevent",
             patch="import gevent.monkey; gevent.monkey.patch_all()"),
    Launcher("eventlet", ("-W", "ignore", "benchmarks/launch_eventlet.py"), "eventlet",
             patch="import eventlet; eventlet.monkey_patch()"),
    Launcher(OURS, ("-m", "dhagapatch", "--no-children"), "dhagapatch",
             patch="import dhagapatch; dhagapatch.patch_all()"),
    Launcher("asyncio", (), "", rewrite="_asyncio"),
    Launcher("uvloop", (), "uvloop", rewrite="_asyncio", extra=("--loop", "uvloop")),
    Launcher("epoll", (), "", rewrite="_epoll"),
)  # fmt: skip
