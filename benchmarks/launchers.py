"""The table of what programs run on: literals only. A later peer is a row here."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BASELINES", "LAUNCHERS", "Launcher"]


class Launcher(NamedTuple):
    """How a program is started: `python *prefix prog.py`."""

    name: str
    prefix: tuple[str, ...]
    package: str  # what must be installed for it; "" for nothing


LAUNCHERS = (  # in the order of each round
    Launcher("threads", (), ""),
    Launcher("gevent", ("-m", "gevent.monkey"), "gevent"),
    Launcher("dhagapatch", ("-m", "dhagapatch"), "dhagapatch"),
)

BASELINES = ("gevent", "threads")  # the launchers to which ratios are given
