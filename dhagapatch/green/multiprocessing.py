"""The semaphore of `multiprocessing`, which is shared between processes and can only be asked again and again.

A process-wide native semaphore has no descriptor.  It is tried without waiting, and while it is taken the dhaga sleeps,
each time a little longer.  The C code knows who has it by OS thread; here that is a dhaga.
"""

from __future__ import annotations

import _multiprocessing
from operator import attrgetter
from typing import Any

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch._real import pristine
from dhagapatch.core import hub_for_wait, owner_token
from dhagapatch.core.entry import enter_methods
from dhagapatch.core.sync import deadline_of
from dhagapatch.green.waiting import sleep_until
from dhagapatch.green.wording import stand_for

__all__ = ["AdoptedSemLock", "SemLock", "native"]

native = pristine(_multiprocessing, "SemLock")
_RECURSIVE = 0  # multiprocessing.synchronize.RECURSIVE_MUTEX
_LEAST, _MOST = 0.0005, 0.01  # seconds


class SemLock:
    """`_multiprocessing.SemLock` whose acquire lets other dhagas run."""

    __slots__ = ("_depth", "_mutex_owner", "_native")

    SEM_VALUE_MAX = native.SEM_VALUE_MAX

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._native = native(*args, **kwargs)
        self._mutex_owner = 0
        self._depth = 0

    @classmethod
    def _rebuild(cls, *args: Any) -> SemLock:
        self = cls.__new__(cls)
        self._native = native._rebuild(*args)
        self._mutex_owner = self._depth = 0
        return self

    handle = property(lambda self: self._native.handle)
    kind = property(lambda self: self._native.kind)
    maxvalue = property(lambda self: self._native.maxvalue)
    name = property(lambda self: self._native.name)

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        if self.kind == _RECURSIVE:
            me = owner_token()
            if self._depth and self._mutex_owner == me:
                self._depth += 1
                return True
            # HAZARD: the native one would let any dhaga of this OS thread in
            if (self._depth and not block) or not self._take(block, timeout, lambda: not self._depth):
                return False
            self._depth = 1
            return True
        return self._take(block, timeout, lambda: True)

    def __enter__(self) -> bool:
        return self.acquire()

    def _take(self, block: bool, timeout: float | None, free: Any) -> bool:
        valid = isinstance(block, int) and -1 <= block <= 1 and (timeout is None or isinstance(timeout, (int, float)))
        if not valid or not block or hub_for_wait() is None:  # who is asked natively complains in the native words
            taken = bool(self._native.acquire(block, timeout))
            if taken:
                self._mutex_owner = owner_token()
            return taken
        deadline = None if timeout is None else deadline_of(max(0.0, timeout))
        pause = _LEAST
        while not (free() and self._native.acquire(False)):
            now = _real.monotonic()
            if deadline is not None and now >= deadline:
                return False
            sleep_until(now + pause if deadline is None else min(now + pause, deadline))
            pause = min(pause * 2, _MOST)
        self._mutex_owner = owner_token()
        return True

    def release(self) -> None:
        if self.kind == _RECURSIVE:
            if not self._depth or self._mutex_owner != owner_token():
                raise AssertionError("attempt to release recursive lock not owned by thread")
            self._depth -= 1
            if self._depth:
                return
            self._mutex_owner = 0
        self._native.release()

    def __exit__(self, *exc_info: object) -> None:
        self.release()

    def _count(self) -> int:
        return self._depth if self.kind == _RECURSIVE else int(self._native._count())

    def _is_mine(self) -> bool:
        if self.kind == _RECURSIVE:
            return self._depth > 0 and self._mutex_owner == owner_token()
        return int(self._native._count()) > 0 and self._mutex_owner == owner_token()

    def _get_value(self) -> int:
        return int(self._native._get_value())

    def _is_zero(self) -> bool:
        return bool(self._native._is_zero())

    def _after_fork(self) -> None:
        self._native._after_fork()
        self._mutex_owner = self._depth = 0


class AdoptedSemLock(SemLock):
    """Stands for a native one that was there before, which a `with` block that is under way releases: the depth is in that."""

    __slots__ = ()

    def __init__(self, real: Any) -> None:
        self._native = real
        self._mutex_owner = owner_token() if real._is_mine() else 0  # 0: acquired natively

    def _is_mine(self) -> bool:
        if not self._native._is_mine():
            return False
        return self._mutex_owner == (owner_token() if self._mutex_owner else 0)

    def _count(self) -> int:
        return int(self._native._count())

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        if self.kind != _RECURSIVE:
            return self._take(block, timeout, lambda: True)
        if self._is_mine():
            return bool(self._native.acquire(False))
        # HAZARD: the native one would let any dhaga of this OS thread in
        mine = self._native._is_mine
        return not (mine() and not block) and self._take(block, timeout, lambda: not mine())

    def release(self) -> None:
        if self.kind == _RECURSIVE:
            if not self._is_mine():
                raise AssertionError("attempt to release recursive lock not owned by thread")
            if self._native._count() == 1:
                self._mutex_owner = 0
        self._native.release()

    def _after_fork(self) -> None:
        self._native._after_fork()
        self._mutex_owner = 0

    __enter__ = acquire


for _class in (SemLock, AdoptedSemLock):
    enter_methods(_class, "acquire", "release", real=native, model=attrgetter("_native"))
    stand_for(_class, native, attrgetter("_native"))
