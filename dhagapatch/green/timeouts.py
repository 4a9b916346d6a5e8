"""The timeouts that users set on sockets, kept apart from the C objects.

A socket with a timeout is in non-blocking mode natively too.  There the C object is told "non-blocking" and the user's
timeout is kept here, because the C method would first block in poll(2) itself.
"""

from __future__ import annotations

import _socket
import weakref
from functools import partial
from typing import Any

from dhagapatch import _real
from dhagapatch._guard import LAST
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import compiled
from dhagapatch.core.descriptors import renew_descriptor

__all__ = [
    "HIDDEN", "adopt_timeout", "drop_dead", "drop_hidden", "getblocking", "gettimeout", "is_hidden", "make_blocking",
    "make_nonblocking", "restore_all", "restore_timeout", "setblocking", "setsockopt", "settimeout", "timeout", "user_timeout",
]  # fmt: skip

_C = _real.socket
_fileno = _C.fileno
_gettimeout = _C.gettimeout
_settimeout = _C.settimeout
_KERNEL_TIMEOUTS = (_socket.SO_RCVTIMEO, _socket.SO_SNDTIMEO)

# The timeouts that the C objects don't know of: by the identity of the socket object, with a weak reference to it.
# HAZARD: the collector clears weak references, and calls their callbacks, before the finalizers of its garbage, which may
# use the socket once more.  So what a dead reference belongs to stays until another socket gets a timeout, or until one is
# made that has the same identity (`drop_hidden`).  The compiled part remembers some of it, and is told of changes.
HIDDEN: dict[int, tuple[float | None, weakref.ref[Any]]] = {}
_dead: list[int] = []  # keys
_changed = getattr(compiled.speedups, "timeouts_changed", lambda: None)


def _set_hidden(sock: Any, timeout: float | None) -> None:
    key = id(sock)
    known = HIDDEN.get(key)
    if known is not None and known[1]() is not None:
        reference = known[1]
    else:
        if known is None:  # else it is garbage that a finalizer uses, beside other such garbage perhaps
            drop_dead()
        reference = weakref.ref(sock, partial(_note_dead, key))
    HIDDEN[key] = (timeout, reference)
    _changed()


def _forget(sock: Any) -> None:
    if HIDDEN and HIDDEN.pop(id(sock), None) is not None:
        _changed()


def _note_dead(key: int, _: object) -> None:
    _dead.append(key)


def _is_dead(item: tuple[float | None, weakref.ref[Any]] | None) -> bool:
    return item is not None and item[1]() is None


def drop_dead() -> None:
    """Forget the timeouts of sockets that are gone."""
    while _dead:
        try:
            key = _dead.pop()
        except IndexError:  # another native thread was first
            return
        if _is_dead(HIDDEN.get(key)):
            item = HIDDEN.pop(key, None)
            _changed()
            if item is not None and not _is_dead(item):
                HIDDEN.setdefault(key, item)  # another native thread has made it meanwhile


def is_hidden(sock: Any) -> bool:
    """Whether the C object does not know the user's timeout."""
    return id(sock) in HIDDEN


def drop_hidden(sock: Any) -> None:
    """The object is made anew."""
    _forget(sock)


def user_timeout(sock: Any) -> float | None:
    """The timeout that the user set, in seconds."""
    known = HIDDEN.get(id(sock))
    return known[0] if known is not None else _gettimeout(sock)


def adopt_timeout(sock: Any) -> None:
    """A socket that has a timeout in its C object: keep the timeout here instead."""
    timeout = _gettimeout(sock)
    if timeout:
        _set_hidden(sock, timeout)
        _settimeout(sock, 0.0)


def restore_timeout(sock: Any) -> None:
    """The way back, for `unpatch_all`."""
    known = HIDDEN.get(id(sock))
    _forget(sock)
    if known is not None and _fileno(sock) >= 0:
        _settimeout(sock, known[0])


def restore_all() -> None:
    """The way back, for the last moments."""
    for _, reference in list(HIDDEN.values()):
        sock = reference()
        if sock is not None:
            restore_timeout(sock)


LAST.append(restore_all)


def make_nonblocking(sock: Any) -> None:
    """For TLS, which has no call that takes a flag: from now on, with the user's timeout kept here."""
    if _gettimeout(sock) is None:
        _set_hidden(sock, None)
        _settimeout(sock, 0.0)


def make_blocking(sock: Any) -> None:
    """The way back, when TLS is over: a socket without a timeout is in blocking mode."""
    known = HIDDEN.get(id(sock))
    if known is not None and known[0] is None:
        if _fileno(sock) >= 0:
            _settimeout(sock, None)
        # HAZARD: only now, or a native thread would meanwhile take the socket for one that the user made non-blocking
        _forget(sock)


# the methods


def settimeout(self: Any, value: float | None, /) -> None:
    _settimeout(self, value)
    timeout = _gettimeout(self)
    if timeout:
        _set_hidden(self, timeout)
        _settimeout(self, 0.0)
    else:
        _forget(self)


def gettimeout(self: Any, /) -> float | None:
    return user_timeout(self)


def setblocking(self: Any, flag: Any, /) -> None:
    _C.setblocking(self, flag)
    _forget(self)


def getblocking(self: Any, /) -> bool:
    return user_timeout(self) != 0.0


def setsockopt(self: Any, *args: Any) -> None:
    _C.setsockopt(self, *args)
    if len(args) == 3 and args[0] == _socket.SOL_SOCKET and args[1] in _KERNEL_TIMEOUTS:
        renew_descriptor(_fileno(self))


def _set_property(sock: Any, value: object) -> None:
    _C.timeout.__set__(sock, value)  # raises


timeout = property(user_timeout, _set_property)
