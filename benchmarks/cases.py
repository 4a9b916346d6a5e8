"""The table of what is measured: literals only. A later benchmark is a program in `programs/` and a row here."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

__all__ = ["CASES", "KEYS", "PROGRAMS", "REWRITTEN", "Case"]

PROGRAMS = Path(__file__).parent / "programs"
REWRITTEN = ("asyncio", "uvloop", "epoll")
KEYS = "{keys}"  # in arguments: the folder with the certificates that the harness makes


class Case(NamedTuple):
    """A program with sizes; `quick` are the smaller sizes of `--quick`."""

    name: str
    program: str  # programs/<program>.py
    operation: str  # what is counted
    arguments: tuple[str, ...]
    quick: tuple[str, ...]
    references: tuple[str, ...] = ()  # launchers for which the program was rewritten
    driver: str = ""  # drivers/<driver>.py starts the program, and is given the launcher
    compared: str = "cpu"  # what ratios are made of: cpu, wall, or memory
    needs: tuple[str, ...] = ()  # packages
    command: str = ""  # what must be on PATH
    patches: bool = False  # only for launchers that patch
    most_rounds: int = 1000  # for what takes long
    without: tuple[str, ...] = ()  # launchers that would take minutes


def _case(name: str, program: str, operation: str, arguments: str, quick: str, **rest: object) -> Case:
    return Case(name, program, operation, tuple(arguments.split()), tuple(quick.split()), **rest)  # type: ignore[arg-type]


_BASIC = (
    _case("echo-1", "echo", "round trip", "--connections 1 --trips 20000", "--connections 1 --trips 1000",
          references=REWRITTEN),
    _case("echo-100", "echo", "round trip", "--connections 100 --trips 150", "--connections 100 --trips 10",
          references=REWRITTEN),
    _case("echo-1000", "echo", "round trip", "--connections 1000 --trips 15", "--connections 1000 --trips 1",
          references=REWRITTEN),
    _case("echo-5000", "echo", "round trip", "--connections 5000 --trips 4", "--connections 2000 --trips 1",
          references=REWRITTEN, most_rounds=2),
    _case("echo-timeouts-100", "echo", "round trip", "--connections 100 --trips 150 --timeout 60",
          "--connections 100 --trips 10 --timeout 60"),
    _case("echo-tls-100", "echo_tls", "round trip", f"--connections 100 --trips 100 --keys {KEYS}",
          f"--connections 20 --trips 20 --keys {KEYS}"),
    _case("bulk", "bulk", "MiB", "--mib 1024", "--mib 64"),
    _case("http-keepalive", "http_keepalive", "GET", "--clients 100 --gets 30", "--clients 20 --gets 10"),
    _case("http-wrk", "http_server", "GET", "--connections 100 --seconds 1", "--connections 20 --seconds 0.3",
          driver="wrk", command="wrk"),
    _case("requests", "http_keepalive", "GET", "--session --clients 50 --gets 20", "--session --clients 10 --gets 5",
          needs=("requests",)),
    _case("backup", "backup_rpc", "request", f"--clients 200 --requests 16 --keys {KEYS}",
          f"--clients 20 --requests 16 --keys {KEYS}"),
    _case("spawn-join", "spawn_join", "thread", "--threads 10000 --batch 1", "--threads 500 --batch 1"),
    _case("spawn-join-100", "spawn_join", "thread", "--threads 10000 --batch 100", "--threads 500 --batch 100"),
    _case("sleepers-5000", "sleepers", "thread", "--threads 5000 --seconds 1", "--threads 500 --seconds 0.2"),
    _case("sleepers-10000", "sleepers", "thread", "--threads 10000 --seconds 1", "--threads 1000 --seconds 0.2",
          most_rounds=2),
    _case("idle-1000", "idle_threads", "thread", "--threads 1000", "--threads 500", compared="memory"),
    _case("idle-20000", "idle_threads", "thread", "--threads 20000", "--threads 1000", compared="memory",
          most_rounds=2),
    _case("pool-map", "pool_map", "call", "--workers 16 --calls 20000", "--workers 16 --calls 1000"),
    _case("sleep-0", "sleep_zero", "call", "--threads 10 --calls 20000", "--threads 10 --calls 1000"),
    _case("local", "local_attribute", "read and write", "--threads 10 --steps 200000", "--threads 10 --steps 10000"),
    _case("dns", "dns", "look-up", "--threads 10 --count 500", "--threads 10 --count 20"),
)  # fmt: skip

_FREE = (
    _case("lock-free", "free", "with-block", "--what lock --operations 3000000", "--what lock --operations 50000"),
    _case("rlock-free", "free", "with-block", "--what rlock --operations 3000000", "--what rlock --operations 50000"),
    _case("semaphore-free", "free", "with-block", "--what semaphore --operations 500000",
          "--what semaphore --operations 20000"),
    _case("condition-free", "free", "with, notify", "--what condition --operations 500000",
          "--what condition --operations 20000"),
    _case("event-free", "free", "set, wait, clear", "--what event --operations 300000", "--what event --operations 20000"),
    _case("queue-free", "free", "put, get", "--what queue --operations 200000", "--what queue --operations 10000"),
    _case("simple-queue-free", "free", "put, get", "--what simple-queue --operations 1000000",
          "--what simple-queue --operations 20000"),
)  # fmt: skip

_PING_PONG = (
    _case("lock-ping-pong", "ping_pong", "round trip", "--by lock --trips 50000", "--by lock --trips 1000"),
    _case("rlock-ping-pong", "ping_pong", "round trip", "--by rlock --trips 50000", "--by rlock --trips 1000"),
    _case("semaphore-ping-pong", "ping_pong", "round trip", "--by semaphore --trips 30000", "--by semaphore --trips 1000"),
    _case("condition-ping-pong", "ping_pong", "round trip", "--by condition --trips 30000", "--by condition --trips 1000"),
    _case("event-ping-pong", "ping_pong", "round trip", "--by event --trips 30000", "--by event --trips 1000"),
    _case("queue-ping-pong", "ping_pong", "round trip", "--by queue --trips 30000", "--by queue --trips 1000"),
    _case("simple-queue-ping-pong", "ping_pong", "round trip", "--by simple-queue --trips 50000",
          "--by simple-queue --trips 1000"),
)  # fmt: skip

# what is compared is the wall: threads overlap such calls
_BLOCKING = (
    _case("disk", "blocking", "file", "--what disk --threads 16 --operations 100", "--what disk --threads 4 --operations 5",
          compared="wall"),
    _case("hash", "blocking", "8 MiB", "--what hash --threads 16 --operations 4", "--what hash --threads 4 --operations 2",
          compared="wall"),
    _case("sqlite", "blocking", "transaction", "--what sqlite --threads 8 --operations 10",
          "--what sqlite --threads 4 --operations 3", compared="wall", without=("gevent", "eventlet")),
    _case("mixed", "blocking", "MiB", "--what mixed --threads 16 --operations 10", "--what mixed --threads 4 --operations 3",
          compared="wall"),
)  # fmt: skip

_STARTS = (
    _case("import-patch", "nothing", "import and patch", "--runs 5", "--runs 1", driver="starts", patches=True),
    _case("start-up", "nothing", "start", "--runs 5 --launch", "--runs 1 --launch", driver="starts"),
)

_GROWTH = (
    _case("growth-100", "echo_server", "message", "--connections 100 --messages 20000",
          "--connections 100 --messages 500", driver="growth", references=("epoll",)),
    _case("growth-1000", "echo_server", "message", "--connections 1000 --messages 20000",
          "--connections 200 --messages 500", driver="growth", references=("epoll",)),
    _case("growth-5000", "echo_server", "message", "--connections 5000 --messages 20000",
          "--connections 300 --messages 500", driver="growth", references=("epoll",), without=("threads",),
          most_rounds=2),
    _case("growth-10000", "echo_server", "message", "--connections 10000 --messages 20000",
          "--connections 400 --messages 500", driver="growth", references=("epoll",), without=("threads",),
          most_rounds=2),
)  # fmt: skip

CASES = (*_BASIC, *_FREE, *_PING_PONG, *_BLOCKING, *_STARTS, *_GROWTH)
