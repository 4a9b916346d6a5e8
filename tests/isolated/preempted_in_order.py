"""A dhaga that makes room lets those go first who are due by then, and is not killed there: that is left for its next wait."""

import time

from greenlet import getcurrent

import dhagapatch
from dhagapatch import _real
from dhagapatch.core import spawn
from dhagapatch.core.hub import get_hub
from dhagapatch.testing import Watchdog

dhagapatch.patch_all()
watchdog = Watchdog(10)
hub = get_hub()
order = []


def late():
    time.sleep(0.005)
    order.append("due")


spawn(late)
time.sleep(0)
_real.sleep(0.02)
hub.preempt(getcurrent())
order.append("preempted")
assert order == ["due", "preempted"], order


def killed():
    order.append("runs")
    hub.preempt(getcurrent())
    order.append("runs on")
    time.sleep(0)
    order.append("never")


order.clear()
dhaga = spawn(killed)
time.sleep(0)
assert order == ["runs"]
dhaga.kill()
time.sleep(0.01)
assert order == ["runs", "runs on"], order
assert dhaga.dead
