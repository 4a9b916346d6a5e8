"""Private knowledge of CPython: one function for each fact, with the versions that were checked."""

from __future__ import annotations

import builtins
import io
import sys
import threading
from functools import partial
from types import CodeType
from typing import Any

from dhagapatch._real import BUILTINS as __builtins__

__all__ = [
    "CODE_HAS_A_VERSION", "FINALIZATION_ERROR", "FORKS_COUNT_ALL_THREADS", "LOCALS_ARE_KEPT", "LOCALS_ARE_WRITTEN_THROUGH",
    "LOCKS_ARE_STRICT", "LOCK_TYPE_IS_CALLABLE", "MAIN_HAS_ANNOTATIONS", "MAIN_TELLS_ITS_CACHE", "PROMPTS_END_AT_NUL",
    "SHUTDOWN_MESSAGE", "SHUTDOWN_RAISES", "SIGNALS_RAISE_WHAT_IS_SET", "TASKS_ARE_OF_THREADS", "TIMES_ARE_REAL", "buffer_size",
    "forget_at_end", "forget_dummy_thread", "gil_is_enabled", "monitoring_debugger", "name_of_thread",
    "profilers_are_of_threads", "register_source", "shutdown_locks", "thread_message", "thread_of", "unraisable_arguments",
]  # fmt: skip

# Up to 3.12 `threading.Lock` is a function, and the type of what it returns makes none.  Checked: 3.11.7, 3.12.1, 3.13.0.
LOCK_TYPE_IS_CALLABLE = sys.version_info >= (3, 13)
# Up to 3.12 the prompt of `input` is shown as far as that, later it is refused.  Checked: 3.11.7, 3.12.1, 3.13.0.
PROMPTS_END_AT_NUL = sys.version_info < (3, 13)

# Since 3.13 (PEP 667) `f_locals` of a function's frame is a view of the variables.  Checked: 3.11.7, 3.12.1, 3.13.0, 3.14, 3.15.
LOCALS_ARE_WRITTEN_THROUGH = sys.version_info >= (3, 13)

# Since 3.14 a frame keeps, in a tuple, the values that were exchanged through `f_locals`.  Checked: 3.13.0, 3.14.10, 3.15.2.
LOCALS_ARE_KEPT = sys.version_info >= (3, 14)
# What a file run as `__main__` has besides.  Checked: 3.11.7, 3.12.1, 3.13.0, 3.14.10, 3.15.2.
MAIN_HAS_ANNOTATIONS = sys.version_info < (3, 14)
MAIN_TELLS_ITS_CACHE = sys.version_info < (3, 15)

# Since 3.15 `os.fork` warns if the process has other threads, also those of which `threading` knows nothing; where /proc tells.
# Checked: 3.12.1, 3.13.0, 3.14.10, 3.15.2.
FORKS_COUNT_ALL_THREADS = sys.version_info >= (3, 15) and sys.platform == "linux"

# Since 3.15 a time may be any real number.  Checked: 3.14.10, 3.15.2.
TIMES_ARE_REAL = sys.version_info >= (3, 15)
# Since 3.15 locks must be given all three arguments to leave a `with` block, and one that is held is not waited for when the
# interpreter ends.  Checked: 3.14.10, 3.15.2.
LOCKS_ARE_STRICT = sys.version_info >= (3, 15)
# Since 3.15 the interpreter raises what `PyThreadState_SetAsyncExc` has set wherever it looks for signals.
# Checked: 3.14.10, 3.15.2.
SIGNALS_RAISE_WHAT_IS_SET = sys.version_info >= (3, 15)
# What `_thread._shutdown` does with what a signal's handler raises in it: until 3.13 it is reported without a message, in 3.14
# with one, and since 3.15 raised.  Checked: 3.13.0, 3.14.10, 3.15.2.
SHUTDOWN_RAISES = sys.version_info >= (3, 15)
SHUTDOWN_MESSAGE = "Exception ignored while joining a thread in _thread._shutdown()" if sys.version_info >= (3, 14) else None
FINALIZATION_ERROR: Any = getattr(builtins, "PythonFinalizationError", ())

# Since 3.14 asyncio keeps the task that runs for the OS thread, until 3.13 for the loop.  Checked: 3.11.7 to 3.13.0, 3.14, 3.15.
TASKS_ARE_OF_THREADS = sys.version_info >= (3, 14)

# Since 3.13 the version of what is monitored is kept for the OS thread, and since 3.15 an exception crashes where the code of a
# frame has another one.  Checked: 3.12.1, 3.13.0, 3.14.10, 3.15.2.
CODE_HAS_A_VERSION = sys.version_info >= (3, 13)

# Called without arguments: the debugger that is told of the frames of all threads (`sys.monitoring.DEBUGGER_ID`), since 3.12, or
# None.  No Python function: that debugger would be told of its frame.  Checked: 3.11.7, 3.12.1, 3.13.0.
monitoring_debugger: Any = partial(getattr(getattr(sys, "monitoring", None), "get_tool", {}.get), 0)

_BUFFERS_ARE_LARGE = sys.version_info >= (3, 14)  # here: in the last moments `sys` may be gone
_arguments_type: Any = None


def buffer_size(raw: Any) -> int:
    """How many bytes `open` buffers over the raw file `raw`, if nobody says.

    Until 3.13 as many as the system says for the file.  Checked: 3.11.7, 3.12.1, 3.13.0.
    """
    size: int = raw._blksize
    if _BUFFERS_ARE_LARGE:
        return max(min(size, 8192 * 1024), io.DEFAULT_BUFFER_SIZE)
    return size if size > 1 else io.DEFAULT_BUFFER_SIZE


def name_of_thread(ident: int) -> str:
    """The name of the `threading.Thread` with this identity; empty if there is none.

    `threading.enumerate` would take a lock, which the thread that is asked about may hold.  Checked: 3.11.7, 3.12.1, 3.13.0.
    """
    thread = thread_of(ident)
    return "" if thread is None else thread.name


def shutdown_locks() -> set[Any]:
    """The locks that are held as long as the threads run that are joined at exit; made anew in a forked child.

    Of the module as it is now: it may have been imported afresh.
    Until 3.12.  Checked: 3.11.7, 3.12.1, 3.13.0 (no such thing).
    """
    locks: set[Any] = sys.modules.get("threading", threading)._shutdown_locks
    return locks


def thread_of(ident: int) -> threading.Thread | None:
    """The `threading.Thread` with this identity; likewise."""
    active: dict[int, threading.Thread] = getattr(threading, "_active", {})
    return active.get(ident)


def forget_dummy_thread(ident: int) -> None:
    """Take out the object that `threading.current_thread` makes for a native thread that it does not know.

    Checked: 3.11.7, 3.12.1, 3.13.0.
    """
    active: dict[int, threading.Thread] = getattr(threading, "_active", {})
    if isinstance(active.get(ident), threading._DummyThread):
        active.pop(ident, None)


def forget_at_end(ident: int) -> None:
    """Have the `threading.Thread` with this identity take itself out by it when it ends, whatever `get_ident` says then.

    Checked: 3.11.7, 3.12.1, 3.13.0.
    """
    thread: Any = thread_of(ident)
    if thread is not None:
        active: dict[int, threading.Thread] = getattr(threading, "_active", {})
        thread._delete = partial(active.pop, ident, None)


def gil_is_enabled() -> bool:
    """Whether one thread at a time runs Python code, and another one's turn comes after calls and at jumps back only.

    Checked: 3.11.7, 3.12.1, 3.13.0 (by the bytecode of what relies on it: ``tests/core/test_exchange.py``).
    """
    enabled = getattr(sys, "_is_gil_enabled", None)  # since 3.13
    return enabled is None or bool(enabled())


def profilers_are_of_threads() -> bool:
    """Whether a `cProfile.Profile` is called for the thread that enabled it, and not, by `sys.monitoring`, for all.

    Checked: 3.11.7, 3.12.1, 3.13.0.
    """
    return sys.version_info < (3, 12)


def register_source(code: CodeType, source: str) -> None:
    """Have tracebacks show the lines of `source`, which came from ``-c``.

    Since 3.13 the interpreter does so (`linecache._register_code`); 3.13.0 keeps the lines by the name of the file, later ones
    (``_interactive_cache``) by the code object. Checked: 3.11.7, 3.12.1 (neither), 3.13.0.
    """
    if sys.version_info < (3, 13):
        return
    import linecache

    module: Any = linecache
    register = getattr(module, "_register_code", None)
    if register is not None:
        register(code if hasattr(module, "_interactive_cache") else code.co_filename, source, code.co_filename)


class _Made(Exception):
    pass


class _Unraisable:
    def __del__(self) -> None:
        raise _Made


def thread_message(function: object) -> tuple[str, object]:
    """The message and the object of an exception that leaves the function of a raw thread.

    Until 3.12 the object is shown by the hook, since 3.13 it is part of the message.  Checked: 3.11.7, 3.12.1, 3.13.0.
    """
    if sys.version_info >= (3, 13):
        return f"Exception ignored in thread started by {function!r}", None
    return "Exception ignored in thread started by", function


def unraisable_arguments(items: tuple[Any, ...]) -> Any:
    """What `sys.unraisablehook` is called with: (type, value, traceback, message, object).

    The hook insists on the interpreter's own structure, which has no name anywhere; the only way to its type is to have one
    made, by an object whose finalizer fails.  Checked: 3.11.7, 3.12.1, 3.13.0.
    """
    global _arguments_type
    if _arguments_type is None:
        there = vars(sys).get("unraisablehook")  # the program may have deleted it
        hook = there or sys.__unraisablehook__

        def catch(arguments: Any, /) -> None:
            global _arguments_type
            if arguments.exc_type is _Made:
                _arguments_type = type(arguments)
            else:
                hook(arguments)  # another thread's, in this very moment

        sys.unraisablehook = catch
        try:
            _Unraisable().__del__  # noqa: B018 - made and dropped
        finally:
            if there is None:
                del sys.unraisablehook
            else:
                sys.unraisablehook = there
    return _arguments_type(items)
