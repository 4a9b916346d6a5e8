"""Calls on native threads that are ended when their caller is interrupted: what was given up does not happen later.

Who ends such a call: its caller, on its way out, by `stop`, again and again until the native thread has come back (what
`stop` does may come a moment before the call has begun to wait).  What the call got at the last moment is given back, by `undo`,
before the caller goes on.  If it does not come back within a moment it is left, and its native thread gives back what it gets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.offload import Endable

__all__ = ["Ending"]

_AGAIN = 0.001  # seconds
_MOST = 0.1  # seconds: so long its caller waits for the call to end


class Ending(Endable):
    """One call of `call`, in an `offload_endable`.

    With `again` it is a system call: InterruptedError says that a signal cut it short; if that was another's it is made again.
    `stop` is called with the identity of the native thread; None: nothing ends it.  `undo` is called with the result of a call
    that its caller has given up.
    """

    __slots__ = ("_again", "_call", "_got", "_ident", "_is_left", "_is_lost", "_lock", "_over", "_stop", "_undo", "name")

    def __init__(
        self, name: str, call: Callable[[], Any], stop: Callable[[int], object] | None,
        undo: Callable[[Any], object] | None = None, again: bool = False,
    ) -> None:  # fmt: skip
        self.name = name
        self._call = call
        self._stop = stop
        self._undo = undo
        self._again = again
        self._lock = _real.allocate_lock()  # of the four below
        self._ident = 0  # of the native thread, while it is in the call
        self._got: list[Any] = []
        self._is_left = False  # the caller waits for the result no more
        self._is_lost = False  # nor for the end
        self._over = _real.allocate_lock()
        self._over.acquire()

    def run(self) -> Any:
        """On the native thread."""
        with self._lock:
            if self._is_left:
                raise InterruptedError
            self._ident = _real.get_ident()
        lost = False
        try:
            while True:
                try:
                    result = self._call()
                    break
                except InterruptedError:
                    if self._is_left or not self._again:
                        raise
            self._got.append(result)
        finally:
            with self._lock:
                self._ident = 0
                lost = self._is_lost
            self._over.release()
        if lost:
            self._give_back()
        return result

    def leave(self) -> None:
        """The caller has been interrupted: end the call, and give back what it got."""
        with self._lock:
            self._is_left = True
        until = _real.monotonic() + _MOST
        while True:
            with self._lock:
                if not self._ident:  # it has come back, or it never begins
                    break
                if self._stop is None or _real.monotonic() > until:
                    self._is_lost = True
                    return
                self._stop(self._ident)  # HAZARD: in the lock: later this native thread may be in another's call, or gone
            self._over.acquire(True, _AGAIN)
        self._give_back()

    def _give_back(self) -> None:
        while self._got:
            result = self._got.pop()
            if self._undo is not None:
                try:
                    self._undo(result)
                except OSError:
                    pass  # the program has closed it
