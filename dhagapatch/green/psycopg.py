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

import contextlib
import io
import os
import select
import sys
import weakref
from collections.abc import Callable
from functools import wraps
from operator import attrgetter
from typing import Any

from greenlet import getcurrent

from dhagapatch import _real
from dhagapatch._errors import Interruption
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import RLock, deadline_of, offload
from dhagapatch.core.interrupts import deliver_all, restore
from dhagapatch.green.exchange import Exchange
from dhagapatch.green.select import make_poll

__all__ = ["install", "waiting"]

_OK, _READ, _WRITE = 0, 1, 2  # what a connection's `poll` says; documented
_EVENTS = {_READ: select.POLLIN, _WRITE: select.POLLOUT}

# What goes to the server.
_OF_CURSOR = ("execute", "executemany", "callproc", "copy_from", "copy_to", "copy_expert")
_OF_NAMED_CURSOR = ("fetchone", "fetchmany", "fetchall", "scroll", "close")
_OF_CONNECTION = (
    "commit", "rollback", "reset", "close", "set_session", "set_isolation_level", "set_client_encoding", "lobject",
    "tpc_begin", "tpc_prepare", "tpc_commit", "tpc_rollback", "tpc_recover",
)  # fmt: skip
_OF_LARGE_OBJECT = ("read", "write", "seek", "tell", "truncate", "close", "unlink", "export")
_REFUSED = ("copy_from", "copy_to", "copy_expert", "lobject")
_FACTORY_AT = 5  # among the arguments of `lobject`: the class of what it opens
_OPENED_BY = "_dhagapatch_connection"
_CONNECTED = (1, 2, 5)  # a connection's `status`: ready, in a transaction, prepared
_FILE_AT = {"copy_from": 0, "copy_expert": 1}  # among the arguments: the file that COPY may read
_PIECE = 8192  # bytes, or characters: libpq's own measure for large objects, and less than the least buffer of a socket


def _wait(connection: Any) -> None:
    """Until what the connection is about has come to its end.

    HAZARD: what is raised here has psycopg2 close the connection.  Natively a signal handler's exception comes when the query
    has ended; so it does here, from the method that waited (`_due`).  A kill, or a `Timeout`, has the server cancel the query.
    """
    deadline = None if connection.status in _CONNECTED else _connect_deadline(connection)
    kept: list[BaseException] = []
    while (state := connection.poll()) != _OK:
        if state not in _EVENTS:
            raise connection.OperationalError(f"bad state from poll: {state}")
        poll = make_poll()  # HAZARD: while it connects, its descriptor may become another one
        poll.register(connection.fileno(), _EVENTS[state])
        try:
            ready = poll.poll(None if deadline is None else max(0.0, (deadline - _real.monotonic()) * 1000))
        except BaseException as error:
            if connection.status not in _CONNECTED or getattr(error, "errno", None) is not None:
                raise  # errors of the wait itself have a number, and would come again and again
            kept.append(error)
            if isinstance(error, Interruption):
                _cancel(connection, kept)
            continue
        if not ready:
            names = connection.get_dsn_parameters()
            where = f'"{names.get("hostaddr") or names.get("host")}", port {names.get("port")}'
            raise connection.OperationalError(f"connection to server at {where} failed: timeout expired\n")
    if kept:
        restore(getcurrent(), kept)


def _cancel(connection: Any, kept: list[BaseException]) -> None:
    """Have the server cancel the query: by a connection of libpq's own, which waits in C, so on a native thread."""
    try:
        offload(connection.cancel)
    except connection.OperationalError:
        pass  # it can't be reached, and `poll` will tell
    except BaseException as error:
        kept.append(error)  # killed once more


def _connect_deadline(connection: Any) -> float | None:
    """As libpq counts it: in whole seconds, two at least, and no end without or with zero."""
    try:
        seconds = int(connection.get_dsn_parameters().get("connect_timeout") or 0)
    except ValueError:
        return None  # libpq has said what is wrong with it
    return deadline_of(max(seconds, 2)) if seconds > 0 else None


def _due() -> None:
    """Raise what came while a query was under way."""
    try:
        me = getcurrent()
    except RecursionError:
        raise
    except RuntimeError:
        return  # the interpreter's last moments
    if getattr(me, "dhaga_interrupts", None):
        deliver_all(me)


class _Turns:
    """One user of a connection at a time; the same dhaga may come again (a file that COPY reads may use the connection)."""

    def __init__(self) -> None:
        self._locks: weakref.WeakKeyDictionary[Any, RLock] = weakref.WeakKeyDictionary()

    def of(self, connection: Any) -> RLock:
        lock = self._locks.get(connection)
        return self._locks.setdefault(connection, RLock()) if lock is None else lock

    def for_cursor(self, method: Callable[..., Any]) -> Callable[..., Any]:
        return self._taking(method, attrgetter("connection"))

    def for_connection(self, method: Callable[..., Any]) -> Callable[..., Any]:
        return self._taking(method, lambda connection: connection)

    def for_large_object(self, method: Callable[..., Any]) -> Callable[..., Any]:
        return self._taking(method, attrgetter(_OPENED_BY))

    def for_rows(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """What only a named cursor asks the server for."""
        in_turn = self.for_cursor(method)

        @wraps(method)
        def fetches(self: Any, *args: Any, **kwargs: Any) -> Any:
            return (method if self.name is None else in_turn)(self, *args, **kwargs)

        return fetches

    def _taking(self, method: Callable[..., Any], connection_of: Callable[[Any], Any]) -> Callable[..., Any]:
        @wraps(method)
        def takes_turn(one: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                connection = connection_of(one)
            except AttributeError:
                connection = None
            if connection is None:
                return method(one, *args, **kwargs)  # it will say what is wrong
            with self.of(connection):
                try:
                    return method(one, *args, **kwargs)
                finally:
                    _due()

        return takes_turn


class _Callback:
    """The callback, which is taken away while a method runs that would refuse, and given back by the last of these."""

    def __init__(self, module: Any) -> None:
        self._get: Callable[[], Any] = module.get_wait_callback
        self._set: Callable[[Any], None] = module.set_wait_callback
        self._without = 0
        self._set(_wait)
        os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        if self._without > 0:  # whoever runs without it is not here, or does not come back to it
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

    killed: Interruption | None = None

    def __init__(self, file: Any, connection: Any) -> None:
        self._file, self._connection = file, connection

    def read(self, *args: Any) -> Any:
        try:
            poll = make_poll()
            poll.register(self._connection.fileno(), select.POLLOUT)
            poll.poll()
            return self._file.read(*args)
        except Interruption as error:
            self.killed = error  # psycopg2 makes an error of its own of it
            raise

    def write(self, data: Any) -> Any:
        return self._file.write(data)  # COPY may write it just as well


class _TextSource(_Source, io.TextIOBase):
    """The same of text: psycopg2 asks which it is."""


def _reading_when_there_is_room(method: Callable[..., Any]) -> Callable[..., Any]:
    position = _FILE_AT[method.__name__]

    @wraps(method)
    def copies(self: Any, *args: Any, **kwargs: Any) -> Any:
        file = args[position] if len(args) > position else kwargs.get("file")
        source = None
        if hasattr(file, "read") and not self.connection.closed:
            source = (_TextSource if isinstance(file, io.TextIOBase) else _Source)(file, self.connection)
            if len(args) > position:
                args = (*args[:position], source, *args[position + 1 :])
            else:
                kwargs["file"] = source
        try:
            return method(self, *args, **kwargs)
        finally:
            if source is not None and source.killed is not None:
                raise source.killed

    return copies


def _opening(base: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """For `connection.lobject`: what it opens knows by which connection, which the C type does not tell."""
    known = type(base.__name__, (base,), {"__module__": base.__module__, "__qualname__": base.__qualname__})

    def opening(method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def opens(self: Any, *args: Any, **kwargs: Any) -> Any:
            if len(args) < _FACTORY_AT:
                kwargs.setdefault("lobject_factory", known)
            opened = method(self, *args, **kwargs)
            with contextlib.suppress(AttributeError):
                setattr(opened, _OPENED_BY, self)
            return opened

        return opens

    return opening


def _naming(base: type, turns: _Turns) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """For `connection.cursor`: one with a name asks the server when it is iterated over, and `__next__` is no plain method."""

    known: dict[Any, type] = {}

    def in_turn(kind: Any) -> type:
        if kind not in known:
            in_turn_next = turns.for_cursor(kind.__next__)
            names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__next__": in_turn_next}
            known[kind] = type(kind.__name__, (kind,), names)
        return known[kind]

    def naming(method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def cursor(self: Any, *args: Any, **kwargs: Any) -> Any:
            if (args[0] if args else kwargs.get("name")) is not None:
                kind = (args[1] if len(args) > 1 else kwargs.get("cursor_factory")) or self.cursor_factory or base
                if isinstance(kind, type) and issubclass(kind, base):
                    if len(args) > 1:
                        args = (args[0], in_turn(kind), *args[2:])
                    else:
                        kwargs["cursor_factory"] = in_turn(kind)
            return method(self, *args, **kwargs)

        return cursor

    return naming


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
    for name in _FILE_AT:
        exchange.method(module.cursor, name, _reading_when_there_is_room)
    if hasattr(module, "lobject"):
        exchange.method(module.connection, "lobject", _opening(module.lobject))
        exchange.method(module.lobject, "write", _in_pieces)
        for name in _OF_LARGE_OBJECT:
            exchange.method(module.lobject, name, turns.for_large_object)
    exchange.method(module.connection, "cursor", _naming(module.cursor, turns))
    for name in _REFUSED:
        for kind in (module.cursor, module.connection):
            exchange.method(kind, name, callback.without)
    for kind, names, taking_turns in (
        (module.cursor, _OF_CURSOR, turns.for_cursor),
        (module.cursor, _OF_NAMED_CURSOR, turns.for_rows),
        (module.connection, _OF_CONNECTION, turns.for_connection),
    ):
        for name in names:
            exchange.method(kind, name, taking_turns)
    return exchange
