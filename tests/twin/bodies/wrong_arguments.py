"""Wrong arguments, of every callable that the table patches and that C code is natively: the same error, to the text.

The table itself says what is called: each row's function, and the methods of what a row's class makes.
"""

from __future__ import annotations

import _multiprocessing
import _queue
import _socket
import _thread
import contextlib
import io
import itertools
import os
import select
import socket
from typing import Any

from arguments import call_functions, call_methods

from dhagapatch import original
from dhagapatch.monkey.table import TABLE


def case_threads(t: Any) -> None:
    call_functions(t, "_thread")
    call_functions(t, "_queue")


def case_sockets(t: Any) -> None:
    call_functions(t, "_socket")


def case_select(t: Any) -> None:
    call_functions(t, "select")


def case_os(t: Any) -> None:
    call_functions(t, "posix")
    call_functions(t, "fcntl")


def case_signals(t: Any) -> None:
    call_functions(t, "_signal")
    call_functions(t, "time")


def case_streams(t: Any) -> None:
    call_functions(t, "builtins")
    call_functions(t, "readline")


def case_interpreter(t: Any) -> None:
    for module in ("sys", "_imp", "faulthandler"):
        call_functions(t, module)


def _full_queue(_: Any) -> Any:
    queue = _queue.SimpleQueue()
    for _ in range(3):
        queue.put(1)
    return queue


def case_methods_of_queues(t: Any) -> None:
    call_methods(t, "SimpleQueue", original("_queue", "SimpleQueue"), _full_queue)


def case_methods_of_polls(t: Any) -> None:
    call_methods(t, "poll", type(original("select", "poll")()), lambda _: select.poll())


def case_methods_of_epolls(t: Any) -> None:
    call_methods(t, "epoll", original("select", "epoll"), lambda stack: stack.enter_context(contextlib.closing(select.epoll())))


def case_methods_of_handles(t: Any) -> None:
    t.note(hasattr(_thread, "_ThreadHandle"))
    if hasattr(_thread, "_ThreadHandle"):
        call_methods(t, "handle", original("_thread", "_ThreadHandle"), lambda _: _thread._ThreadHandle())


_numbers = itertools.count()


def _semaphore(_: Any) -> Any:
    return _multiprocessing.SemLock(1, 1, 1, f"/wrong-{os.getpid()}-{next(_numbers)}", True)


def case_methods_of_semaphores(t: Any) -> None:
    call_methods(t, "SemLock", original("_multiprocessing", "SemLock"), _semaphore)


def _reader(stack: contextlib.ExitStack) -> Any:
    ends = os.pipe()
    os.write(ends[1], b"abc")
    os.close(ends[1])
    return stack.enter_context(open(ends[0], "rb", 0))


def _writer(stack: contextlib.ExitStack) -> Any:
    ends = os.pipe()
    stack.callback(os.close, ends[0])
    return stack.enter_context(open(ends[1], "wb", 0))


def case_methods_of_files(t: Any) -> None:
    call_methods(t, "reader", io.FileIO, _reader)


def case_methods_of_files_that_are_written(t: Any) -> None:
    call_methods(t, "writer", io.FileIO, _writer)


def _buffered(stack: contextlib.ExitStack) -> Any:
    return io.BufferedReader(_reader(stack))


def case_methods_of_buffered_files(t: Any) -> None:
    call_methods(t, "buffered", io.BufferedReader, _buffered)


def _socket_with_data(stack: contextlib.ExitStack) -> Any:
    # no UNIX sockets: a name for one would make a file, or be taken by another run
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = stack.enter_context(socket.create_connection(listener.getsockname()))
        other = stack.enter_context(listener.accept()[0])
    other.send(b"abc")
    return one


class _Sockets:
    """What the table has of a socket's C methods."""


for _row in TABLE:
    _name = _row.name.rpartition(".")[2]
    if _row.module == "socket" and not _name.startswith("_") and type(getattr(_socket.socket, _name)) is not property:
        setattr(_Sockets, _name, getattr(_socket.socket, _name))


def case_methods_of_sockets(t: Any) -> None:
    call_methods(t, "socket", _Sockets, _socket_with_data)
