"""How a program is started under each runtime."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

__all__ = ["LAUNCHERS", "Launcher"]

HERE = Path(__file__).parent


class Launcher(NamedTuple):
    """``python *prefix program``, or ``python *prefix *module name``, with `environ` added."""

    name: str
    prefix: tuple[str, ...]
    environ: dict[str, str]
    package: str  # what must be installed
    module: tuple[str, ...] = ("-m",)


LAUNCHERS = {
    launcher.name: launcher
    for launcher in (
        Launcher("native", (), {}, ""),
        Launcher("dhagapatch", ("-m", "dhagapatch", "--no-children"), {}, "dhagapatch"),
        Launcher("dhagapatch-children", ("-m", "dhagapatch", "--children"), {}, "dhagapatch"),
        Launcher("dhagapatch-timeslice", ("-m", "dhagapatch", "--no-children", "--timeslice", "0.01"), {}, "dhagapatch"),
        Launcher("dhagapatch-timeslice-1ms", ("-m", "dhagapatch", "--no-children", "--timeslice", "0.001"), {}, "dhagapatch"),
        Launcher("dhagapatch-sqlite3", ("-m", "dhagapatch", "--no-children", "--offload", "sqlite3"), {}, "dhagapatch"),
        Launcher("dhagapatch-late", (), {}, "dhagapatch"),  # what runs the tests patches, when all is imported
        Launcher("gevent", ("-m", "gevent.monkey"), {}, "gevent", ("--module",)),
        Launcher("eventlet", (str(HERE / "launch_eventlet.py"),), {}, "eventlet"),
    )
}
