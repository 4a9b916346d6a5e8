"""The table of where dhagapatch must stand: literals only.

A target is a bound on a cost of dhagapatch as a ratio to another's in the same rounds. Where none is named for
eventlet, it is EVENTLET: nowhere behind it.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["EVENTLET", "TARGETS", "Target", "targets_of"]


class Target(NamedTuple):
    """`against` is a launcher, or another case: then it is dhagapatch's own cost there to which this one is compared."""

    case: str
    against: str
    limit: float
    quantity: str = ""  # cpu or memory; "" for what the case compares
    unit: str = "ratio"  # or "ms more": milliseconds of CPU time for each operation above the other's


EVENTLET = 1.0

TARGETS = (
    Target("echo-1", "gevent", 0.60),
    Target("echo-1", "threads", 1.0),
    Target("echo-1", "epoll", 1.6),
    Target("echo-100", "gevent", 0.50),
    Target("echo-100", "threads", 0.50),
    Target("echo-100", "uvloop", 1.0),
    Target("echo-100", "epoll", 1.4),
    Target("echo-1000", "gevent", 0.55),
    Target("echo-1000", "threads", 0.40),
    Target("echo-timeouts-100", "gevent", 0.50),
    Target("echo-timeouts-100", "echo-100", 1.1),
    Target("echo-tls-100", "gevent", 0.80),
    Target("echo-tls-100", "threads", 0.70),
    Target("bulk", "gevent", 0.40),
    Target("bulk", "threads", 0.50),
    Target("bulk", "eventlet", 1.05),
    Target("http-keepalive", "gevent", 0.80),
    Target("http-keepalive", "threads", 0.60),
    Target("http-wrk", "gevent", 0.80),
    Target("http-wrk", "threads", 0.60),
    Target("spawn-join", "gevent", 0.60),
    Target("spawn-join", "threads", 0.40),
    Target("spawn-join-100", "gevent", 0.60),
    Target("spawn-join-100", "threads", 0.40),
    Target("queue-ping-pong", "gevent", 1.3),
    Target("queue-ping-pong", "threads", 0.50),
    Target("queue-ping-pong", "eventlet", 0.60),
    Target("simple-queue-ping-pong", "gevent", 1.0),
    Target("simple-queue-ping-pong", "threads", 0.70),
    Target("semaphore-ping-pong", "gevent", 0.40),
    Target("semaphore-ping-pong", "threads", 0.60),
    Target("lock-free", "gevent", 1.0),
    Target("lock-free", "threads", 2.0),
    Target("rlock-free", "gevent", 0.60),
    Target("rlock-free", "threads", 3.0),
    Target("pool-map", "gevent", 0.45),
    Target("pool-map", "threads", 1.0),
    Target("pool-map", "eventlet", 0.70),
    Target("sleep-0", "gevent", 0.90),
    Target("sleep-0", "threads", 0.40),
    Target("local", "gevent", 1.5),
    Target("local", "threads", 2.5),
    Target("sleepers-5000", "gevent", 0.50),
    Target("sleepers-5000", "threads", 0.60),
    Target("idle-20000", "gevent", 0.85),
    Target("idle-20000", "threads", 0.70),
    Target("disk", "threads", 1.0),
    Target("hash", "threads", 1.0),
    Target("sqlite", "threads", 1.0),
    Target("mixed", "threads", 1.0),
    Target("import-patch", "gevent", 0.60),
    Target("start-up", "threads", 60.0, unit="ms more"),
    Target("growth-10000", "growth-100", 1.2),
    Target("growth-10000", "growth-100", 1.2, quantity="memory"),
)


def targets_of(case: str) -> list[Target]:
    """The targets of a case, the one for eventlet always among them."""
    named = [target for target in TARGETS if target.case == case]
    if any(target.against == "eventlet" for target in named):
        return named
    return [*named, Target(case, "eventlet", EVENTLET)]
