"""How a program is started under each runtime."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

__all__ = ["LAUNCHERS", "Launcher"]

HERE = Path(__file__).parent


class Launcher(NamedTuple):
    """``python *prefix program``, with `environ` added."""

    name: str
    prefix: tuple[str, ...]
    environ: dict[str, str]
    package: str  # what must be installed


LAUNCHERS = {
    launcher.name: launcher
    for launcher in (
        Launcher("native", (), {}, ""),
        Launcher("dhagapatch", ("-m", "dhagapatch"), {}, "dhagapatch"),
        Launcher("dhagapatch-children", ("-m", "dhagapatch", "--children"), {}, "dhagapatch"),
        Launcher("dhagapatch-timeslice", ("-m", "dhagapatch", "--timeslice", "0.01"), {}, "dhagapatch"),
        Launcher("gevent", ("-m", "gevent.monkey"), {}, "gevent"),
        Launcher("eventlet", (str(HERE / "launch_eventlet.py"),), {}, "eventlet"),
    )
}
