"""Hand a lock, and tokens of a queue, back and forth between dhagas and native threads: none is lost, none comes twice.

    python handoffs.py LOCKS TOKENS
"""

from __future__ import annotations

import os
import sys

from greenlet import getcurrent

from dhagapatch import _real
from dhagapatch.core import Lock, Queue, RLock, get_hub, hub_for_wait, spawn

NATIVE, DHAGAS = 3, 5


def started(work) -> Queue:
    """Run `work(name)` in native threads, one of them with a hub and dhagas of its own, and in dhagas here."""
    done = Queue()

    def run(name: str) -> None:
        try:
            done.put((name, work(name)))
        except BaseException as error:
            done.put((name, error))

    def with_a_hub() -> None:
        get_hub()
        inner = Queue()
        for number in range(2):
            spawn(lambda number=number: (run(f"dhaga {number} of a second hub"), inner.put(None)))
        for _ in range(2):
            inner.get()

    for number in range(NATIVE):
        _real.start_new_thread(run, (f"native {number}",))
    _real.start_new_thread(with_a_hub, ())
    for number in range(DHAGAS):
        spawn(run, f"dhaga {number}")
    return done


def lock_handoffs(lock, total: int) -> None:
    """Everybody takes the lock in turn; whoever breaks in while another is inside is found out."""
    workers = NATIVE + DHAGAS + 2
    share = total // workers
    inside: list[str] = []
    count = [0]
    passed = [0]  # from one to another
    last = [""]

    def work(name: str) -> int:
        hub = hub_for_wait()
        for turn in range(share):
            if turn % 7 == 3:
                while not lock.acquire(timeout=0.0005):  # waiters that give up, and come again
                    pass
            else:
                lock.acquire()
            inside.append(name)
            count[0] += 1
            passed[0] += name != last[0]
            last[0] = name
            if turn % 2:  # while it holds the lock the others come to want it
                if hub is None:
                    _real.sleep(0)
                else:
                    hub.yield_(getcurrent())
            assert inside == [name], inside
            inside.pop()
            lock.release()
        return share

    done = started(work)
    for _ in range(workers):
        name, result = done.get(timeout=120)
        assert result == share, (name, result)
    assert count == [share * workers] and lock.acquire(False)
    print(f"{type(lock).__name__}: {count[0]} times, {passed[0]} hand-offs from one to another")


def token_handoffs(total: int) -> None:
    """Tokens go round: each worker takes one and puts the next, until all numbers have come, each once."""
    workers = NATIVE + DHAGAS + 2
    queue = Queue()
    seen = bytearray(total)
    for first in range(4):
        queue.put(first)

    def work(name: str) -> int:
        taken = 0
        while (token := queue.get()) is not None:
            assert not seen[token], (name, token)
            seen[token] = 1
            taken += 1
            if token + 4 < total:
                queue.put(token + 4)
            else:
                ended.put(token)
        return taken

    ended = Queue()
    done = started(work)
    for _ in range(4):
        ended.get(timeout=120)
    for _ in range(workers):
        queue.put(None)
    taken = [done.get(timeout=120) for _ in range(workers)]
    assert all(isinstance(number, int) for _, number in taken), taken
    assert sum(number for _, number in taken) == total and all(seen)
    print(total, "tokens")


def await_native_threads() -> None:
    """Greenlet's own end in an OS thread, behind the interpreter's back, must not meet the end of the interpreter."""
    folder = "/proc/self/task"
    until = _real.monotonic() + 20
    while os.path.isdir(folder) and len(os.listdir(folder)) > before and _real.monotonic() < until:
        _real.sleep(0.01)


before = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0

if __name__ == "__main__":
    locks, tokens = int(sys.argv[1]), int(sys.argv[2])
    lock_handoffs(Lock(), locks)
    lock_handoffs(RLock(), locks)
    token_handoffs(tokens)
    await_native_threads()
