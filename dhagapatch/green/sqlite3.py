"""`sqlite3` connections whose statements run on a native thread of their own, so that a long query holds nobody up.

Each connection has its thread, from its first statement to its end; its cursors and blobs use the same.  SQLite's own lock
would do for safety; one thread keeps the statements in the order in which they were asked for.

Callbacks (`create_function`, adapters, converters, row factories, `set_progress_handler`, an iterator given to `executemany`)
run where the statement runs, on the native thread, where patched calls behave natively.  `interrupt` is called at once, from
anywhere.

The library's check that a connection stays in the thread that made it compares native threads; so here it is made
without, and checked against the dhaga that calls.

Who leaves while a statement runs (a handler that raises, a kill, a `Timeout`) has it interrupted, as by `interrupt`, and goes on
when it has ended; rows that were being fetched for an iteration are kept for the next one who asks.

Rows that are iterated over are fetched some at a time: a first one, then twice as many each time, for a few milliseconds at most.
SQLite leaves open whether a query sees what is changed on its connection meanwhile.
"""

from __future__ import annotations

import _sqlite3
from abc import ABCMeta
from collections import deque
from collections.abc import Callable
from typing import Any

import wrapt

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import owner_token
from dhagapatch.core.endable import Ending
from dhagapatch.core.offload import OwnThread
from dhagapatch.green._thread import get_ident

__all__ = ["Connection", "Cursor", "connect"]

_RealConnection: Any = _sqlite3.Connection
_RealCursor: Any = _sqlite3.Cursor
_real_connect = _sqlite3.connect
_CHECK = 4  # where `Connection` has check_same_thread among its arguments
_ROWS = 256  # at most, that an iteration fetches in one go
_FETCHING = 0.002  # seconds, at most
_UNSET = object()
_ARRAYSIZE = type("int", (int,), {})(1)  # what the C code shows for "as many as `arraysize` says"


class _Kind(ABCMeta):
    """The class of the classes that stand for the C ones: what was made before the patch is an instance too.

    It is an `ABCMeta` so that a program's class may have that one as its own metaclass beside ours.
    """

    def __instancecheck__(cls, thing: Any) -> bool:
        return type.__instancecheck__(cls, thing) or type.__instancecheck__(_real_of(cls), thing)

    def __subclasscheck__(cls, kind: Any) -> bool:
        return type.__subclasscheck__(cls, kind) or type.__subclasscheck__(_real_of(cls), kind)


def _real_of(cls: Any) -> Any:
    """The C class for which `cls` stands; `cls` itself if it is one of the program's."""
    if cls is Connection:
        return _RealConnection
    return _RealCursor if cls is Cursor else cls


def _thread_of(connection: Any) -> OwnThread | None:
    """The native thread of a connection; an error, as natively, if it may not be used by who calls."""
    own: OwnThread | None = getattr(connection, "_dhaga_thread", None)
    if own is None:
        return None  # made before the patch, closed, or not initialised: the C code says so
    maker: int = connection._dhaga_maker
    if maker and maker != owner_token() and not own.is_here():
        raise _sqlite3.ProgrammingError(
            "SQLite objects created in a thread can only be used in that same thread. "
            f"The object was created in thread id {connection._dhaga_ident} and this is thread id {get_ident()}."
        )
    return own


def _call(connection: Any, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    own = _thread_of(connection)
    return function(*args, **kwargs) if own is None else _run(own, connection, function, *args, **kwargs)


def _run(own: OwnThread, connection: Any, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call it on the connection's native thread, where it is interrupted if the caller leaves."""

    def stop(_: int) -> None:
        try:
            _RealConnection.interrupt(connection)
        except _sqlite3.Error:
            pass  # it is being closed

    def call() -> Any:
        own.busy = True
        try:
            return function(*args, **kwargs)
        finally:
            own.busy = False
            own.left.clear()

    return own.call_endable(Ending(getattr(function, "__name__", "sqlite3"), call, stop))


def _named(method: Any, real: Any) -> Any:
    method.__name__, method.__doc__ = real.__name__, real.__doc__
    method.__qualname__ = real.__qualname__
    method.__text_signature__ = getattr(real, "__text_signature__", None)
    return method


def _offloaded(real: Any) -> Any:
    """A method of a connection, on its native thread."""

    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return _call(self, real, (self, *args), kwargs)

    return _named(method, real)


def _checked(real: Any) -> Any:
    """A method of a connection that takes no time: only the dhaga that calls is looked at."""

    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        _thread_of(self)
        return real(self, *args, **kwargs)

    return _named(method, real)


def _setting(real: Any) -> property:
    """An attribute of a connection; setting it may end a transaction."""

    def fset(self: Any, value: Any) -> None:
        _call(self, real.__set__, (self, value), {})

    return property(lambda self: real.__get__(self), fset, lambda self: real.__delete__(self), real.__doc__)


def _made(make: Callable[[Any], Any], real: Any, names: str) -> dict[str, Any]:
    """What stands for some of a C class's names, those that this version of it has."""
    return {name: make(vars(real)[name]) for name in names.split() if name in vars(real)}


class Connection(_RealConnection, metaclass=_Kind):  # type: ignore[misc]
    __slots__ = ("_dhaga_ident", "_dhaga_maker", "_dhaga_thread")
    __doc__ = _RealConnection.__doc__

    instances_stay = True  # for the patcher
    vars().update(
        _made(_offloaded, _RealConnection, "__exit__ commit rollback backup serialize deserialize load_extension"),
        **_made(
            _checked,
            _RealConnection,
            "__call__ create_aggregate create_collation create_function create_window_function set_authorizer "
            "set_progress_handler set_trace_callback setlimit getlimit enable_load_extension iterdump setconfig getconfig",
        ),
        **_made(_setting, _RealConnection, "isolation_level autocommit"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        check = True
        if len(args) > _CHECK:
            check = args[_CHECK]
            args = (*args[:_CHECK], False, *args[_CHECK + 1 :])
        else:
            check = kwargs.get("check_same_thread", True)
            kwargs["check_same_thread"] = False
        checked = bool(check)
        super().__init__(*args, **kwargs)  # HAZARD: called again, it clears all the slots
        self._dhaga_maker = owner_token() if checked else 0
        self._dhaga_ident = get_ident()
        self._dhaga_thread: OwnThread | None = OwnThread()

    def cursor(self, factory: Any = _UNSET) -> Any:
        _thread_of(self)
        return super().cursor(Cursor if factory is _UNSET else factory)

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        return Connection.cursor(self).execute(*args, **kwargs)

    def executemany(self, *args: Any, **kwargs: Any) -> Any:
        return Connection.cursor(self).executemany(*args, **kwargs)

    def executescript(self, *args: Any, **kwargs: Any) -> Any:
        return Connection.cursor(self).executescript(*args, **kwargs)

    def close(self) -> None:
        own = _thread_of(self)
        if own is None:
            super().close()
            return
        own.call(super().close)
        self._dhaga_thread = None
        own.end()

    def blobopen(self, *args: Any, **kwargs: Any) -> Any:
        own = _thread_of(self)
        if own is None:
            return super().blobopen(*args, **kwargs)
        return _Blob(_run(own, self, super().blobopen, *args, **kwargs), self)


def _running(real: Any) -> Any:
    """A method of a cursor that begins another statement, or ends the cursor."""

    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        own = _own_of(self)
        if own is None:
            return real(self, *args, **kwargs)
        self._dhaga_rows.clear()
        self._dhaga_next, self._dhaga_error = 1, None
        return _run(own, _connection_of(self), real, self, *args, **kwargs)

    return _named(method, real)


class Cursor(_RealCursor, metaclass=_Kind):  # type: ignore[misc]
    __slots__ = ("_dhaga_error", "_dhaga_next", "_dhaga_rows")
    __doc__ = _RealCursor.__doc__

    instances_stay = True
    vars().update(_made(_running, _RealCursor, "execute executemany executescript close"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._dhaga_rows: deque[Any] = deque()  # fetched ahead, by an iteration
        self._dhaga_next = 1
        self._dhaga_error: BaseException | None = None  # of the row after them

    def __del__(self) -> None:
        # HAZARD: the C code resets its statement, which waits for one that runs on the connection: no other OS thread may
        try:
            own: OwnThread | None = getattr(_connection_of(self), "_dhaga_thread", None)
        except _sqlite3.Error:
            return  # not initialised
        if own is not None and own.busy and not own.is_here():
            own.left.append(self)
            if not own.busy:
                own.left.clear()

    def __next__(self) -> Any:
        own = _own_of(self)
        if own is None:
            return super().__next__()
        if not self._dhaga_rows and self._dhaga_error is None:
            own.call(_fetch, self)
        return self._dhaga_take()

    def _dhaga_take(self) -> Any:
        if self._dhaga_rows:
            return self._dhaga_rows.popleft()
        error, self._dhaga_error = self._dhaga_error, None
        if error is None:
            raise StopIteration
        raise error

    def fetchone(self) -> Any:
        own = _own_of(self)
        if own is not None and (self._dhaga_rows or self._dhaga_error is not None):
            return self._dhaga_take()
        return super().fetchone() if own is None else _run(own, _connection_of(self), super().fetchone)

    def fetchmany(self, size: Any = _ARRAYSIZE) -> Any:
        own = _own_of(self)
        if own is None:
            return super().fetchmany(*(() if size is _ARRAYSIZE else (size,)))
        ahead = getattr(self, "_dhaga_rows", None)
        if not ahead and self._dhaga_error is None:
            return _run(own, _connection_of(self), super().fetchmany, *(() if size is _ARRAYSIZE else (size,)))
        wanted = self.arraysize if size is _ARRAYSIZE else size
        rows: list[Any] = []
        while len(rows) < wanted and (ahead or self._dhaga_error is not None):
            rows.append(self._dhaga_take())
        if len(rows) < wanted:
            rows += _run(own, _connection_of(self), super().fetchmany, wanted - len(rows))
        return rows

    def fetchall(self) -> Any:
        own = _own_of(self)
        if own is None:
            return super().fetchall()
        rows: list[Any] = []
        while self._dhaga_rows or self._dhaga_error is not None:
            rows.append(self._dhaga_take())
        return rows + _run(own, _connection_of(self), super().fetchall)


def _own_of(cursor: Any) -> OwnThread | None:
    """The native thread of a cursor that was initialised; None: the C code is asked at once, and says what is wrong."""
    if not hasattr(cursor, "_dhaga_rows"):
        return None
    connection = _connection_of(cursor)
    return None if connection is None else _thread_of(connection)


_connection_of = _RealCursor.connection.__get__


def _fetch(cursor: Cursor) -> None:
    """On the native thread: some rows."""
    end = _real.monotonic() + _FETCHING
    try:
        for _ in range(cursor._dhaga_next):
            cursor._dhaga_rows.append(_RealCursor.__next__(cursor))
            if _real.monotonic() > end:
                return
    except StopIteration:
        return
    except BaseException as error:
        cursor._dhaga_error = error
        return
    cursor._dhaga_next = min(cursor._dhaga_next * 2, _ROWS)


def _of_blob(real: Any) -> Any:
    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return _call(self._self_connection, real, (self.__wrapped__, *args), kwargs)

    return _named(method, real)


class _Blob(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """A blob whose reads and writes run on its connection's native thread; `isinstance` takes it for the C one."""

    vars().update(
        _made(_of_blob, _sqlite3.Blob, "read write seek tell close __exit__ __len__ __getitem__ __setitem__ __delitem__")
    )

    def __init__(self, real: Any, connection: Any) -> None:
        super().__init__(real)
        self._self_connection = connection

    def __enter__(self) -> Any:
        _thread_of(self._self_connection)
        self.__wrapped__.__enter__()
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__wrapped__.__reduce_ex__(protocol)


for _class in (Connection, Cursor):
    _class.__module__ = "sqlite3"


def connect(*args: Any, **kwargs: Any) -> Any:
    if len(args) <= _CHECK + 1:
        kwargs.setdefault("factory", Connection)
    return _real_connect(*args, **kwargs)
