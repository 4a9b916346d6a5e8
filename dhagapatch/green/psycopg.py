"""psycopg 2 and 3 wait in C; both have something that waits in its place.

psycopg (3) has the function in Python too: `waiting`.  psycopg2 takes a callback: `install`.

The callback is one for the process, and belongs to whoever set one first.  While there is one, psycopg2 refuses what works
natively: COPY, large objects, and a second query on a connection that is busy with one.  So methods of its C types are exchanged:

- Who uses a connection that another dhaga is busy with waits for its turn, as threads do natively, on a lock in libpq's wrapper.
- COPY and large objects run without the callback.  libpq stays in the non-blocking mode in which the connection was made: what it
  can't send it keeps, without a limit, or gives up on.  So COPY reads its file when there is room, and large objects are written
  in pieces for which there always is.

HAZARD: without the callback the OS thread is held, also in queries that other dhagas start while a COPY reads a file that waits.
Two of them that wait for each other's locks in the server stand still for good, unless the server has a `lock_timeout`.
"""

from __future__ import annotations

import io
import select
import sys
import weakref
from collections.abc import Callable
from functools import wraps
from typing import Any

from dhagapatch._real import BUILTINS as __builtins__  # noqa: F401
from dhagapatch.core import RLock
from dhagapatch.green.exchange import Exchange
from dhagapatch.green.select import make_poll

__all__ = ["install", "waiting"]

_OK, _READ, _WRITE = 0, 1, 2  # what a connection's `poll` says; documented
_EVENTS = {_READ: select.POLLIN, _WRITE: select.POLLOUT}

# What goes to the server and is called seldom enough to pay for a lock.  Rows of named cursors are not here: iterating can't be
# exchanged, `__next__` being no plain method, and `fetchone` is called for every row of the others.
_OF_CURSOR = ("execute", "executemany", "callproc")
_OF_CONNECTION = (
    "commit", "rollback", "reset", "close", "set_session", "set_isolation_level", "set_client_encoding",
    "tpc_begin", "tpc_prepare", "tpc_commit", "tpc_rollback", "tpc_recover",
)  # fmt: skip
_REFUSED = {"cursor": ("copy_from", "copy_to", "copy_expert"), "connection": ("lobject",)}
_FILE_AT = {"copy_from": 0, "copy_expert": 1}  # among the arguments: the file that COPY may read
_PIECE = 8192  # bytes, or characters: libpq's own measure for large objects, and less than the least buffer of a socket


def _wait(connection: Any) -> None:
    """Until what the connection is about has come to its end."""
    while (state := connection.poll()) != _OK:
        if state not in _EVENTS:
            raise connection.OperationalError(f"bad state from poll: {state}")
        poll = make_poll()  # HAZARD: while it connects, its descriptor may become another one
        poll.register(connection.fileno(), _EVENTS[state])
        poll.poll()


class _Turns:
    """One user of a connection at a time; the same dhaga may come again (a file that COPY reads may use the connection)."""

    def __init__(self) -> None:
        self._locks: weakref.WeakKeyDictionary[Any, RLock] = weakref.WeakKeyDictionary()

    def of(self, connection: Any) -> RLock:
        lock = self._locks.get(connection)
        return self._locks.setdefault(connection, RLock()) if lock is None else lock

    def for_cursor(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def takes_turn(self_: Any, *args: Any, **kwargs: Any) -> Any:
            connection = getattr(self_, "connection", None)
            if connection is None:
                return method(self_, *args, **kwargs)  # it will say what is wrong
            with self.of(connection):
                return method(self_, *args, **kwargs)

        return takes_turn

    def for_connection(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def takes_turn(self_: Any, *args: Any, **kwargs: Any) -> Any:
            with self.of(self_):
                return method(self_, *args, **kwargs)

        return takes_turn


class _Callback:
    """The callback, which is taken away while a method runs that would refuse, and given back by the last of these."""

    def __init__(self, module: Any) -> None:
        self._get: Callable[[], Any] = module.get_wait_callback
        self._set: Callable[[Any], None] = module.set_wait_callback
        self._without = 0
        self._set(_wait)

    def is_set(self) -> bool:
        return self._get() is _wait

    def remove(self) -> None:
        if self.is_set():
            self._set(None)
        self._without = -1  # and who runs without it does not give it back

    def without(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def runs_without(*args: Any, **kwargs: Any) -> Any:
            if self._without < 0 or not (self._without or self.is_set()):
                return method(*args, **kwargs)  # the program has one of its own, or none
            self._without += 1
            self._set(None)
            try:
                return method(*args, **kwargs)
            finally:
                if self._without > 0:
                    self._without -= 1
                    if not self._without and self._get() is None:
                        self._set(_wait)

        return runs_without


class _Source:
    """A file that COPY reads: each time when the connection has room."""

    def __init__(self, file: Any, connection: Any) -> None:
        self._file, self._connection = file, connection

    def read(self, *args: Any) -> Any:
        poll = make_poll()
        poll.register(self._connection.fileno(), select.POLLOUT)
        poll.poll()
        return self._file.read(*args)

    def write(self, data: Any) -> Any:
        return self._file.write(data)  # COPY may write it just as well


class _TextSource(_Source, io.TextIOBase):
    """The same of text: psycopg2 asks which it is."""


def _reading_when_there_is_room(method: Callable[..., Any]) -> Callable[..., Any]:
    position = _FILE_AT[method.__name__]

    @wraps(method)
    def copies(self: Any, *args: Any, **kwargs: Any) -> Any:
        file = args[position] if len(args) > position else kwargs.get("file")
        if hasattr(file, "read") and not self.connection.closed:
            source = (_TextSource if isinstance(file, io.TextIOBase) else _Source)(file, self.connection)
            if len(args) > position:
                args = (*args[:position], source, *args[position + 1 :])
            else:
                kwargs["file"] = source
        return method(self, *args, **kwargs)

    return copies


def _in_pieces(write: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(write)
    def writes(self: Any, *args: Any) -> Any:
        if len(args) != 1 or not isinstance(args[0], (str, bytes)):
            return write(self, *args)
        data, written = args[0], 0
        for at in range(0, len(data) or 1, _PIECE):
            written += write(self, data[at : at + _PIECE])
        return written

    return writes


def waiting(real: Callable[..., Any]) -> Callable[..., Any]:
    """The function by which psycopg (3) waits: the one in Python, if it took the one in C."""
    module: Any = sys.modules["psycopg.waiting"]
    in_python: Callable[..., Any] | None = getattr(module, "wait_poll", None) or getattr(module, "wait_selector", None)
    return real if in_python is None or real is not getattr(module, "wait_c", None) else in_python


def install(set_wait_callback: Callable[[Any], None]) -> Callable[[], None] | None:
    """Have psycopg2 wait so; how to take it back, or None if somebody else has set a callback."""
    module: Any = sys.modules["psycopg2._psycopg"]
    if module.get_wait_callback() is not None:
        return None
    callback, turns = _Callback(module), _Turns()
    exchange = Exchange(callback.remove)
    for kind, names, taking_turns in (
        (module.cursor, _OF_CURSOR, turns.for_cursor),
        (module.connection, _OF_CONNECTION, turns.for_connection),
    ):
        for name in names:
            exchange.method(kind, name, taking_turns)
        for name in _FILE_AT if kind is module.cursor else ():
            exchange.method(kind, name, _reading_when_there_is_room)
        for name in _REFUSED[kind.__name__]:
            exchange.method(kind, name, lambda real, turns=taking_turns: turns(callback.without(real)))  # type: ignore[misc]
    if hasattr(module, "lobject"):
        exchange.method(module.lobject, "write", _in_pieces)
    return exchange
