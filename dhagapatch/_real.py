"""The unpatched C callables, captured when this module is first imported.

Only C callables live here: a Python-level class of the standard library is a patched thing in disguise,
because its methods read module globals.  Everything below this line of the package that must block, or must
not be patched, takes its functions from here and from nowhere else.

Somebody may have put a wrapper in the place of one before: a debugger, a mock, an agent that measures.  `pristine` finds what
is beneath it.
"""

from __future__ import annotations

import _io
import _queue
import _signal
import _socket
import _thread
import builtins
import fcntl as _fcntl
import gc
import posix as _posix
import select
import sys
import time
import types
from typing import Any

__all__ = ["is_own", "keep_errno", "other_patcher", "pristine"]

# HAZARD: a program may exchange what `builtins` holds (`builtins.len = lru_cache(len)`) for what takes a lock; called between two
# dhagas it would wait there for ever.  The interpreter's own primitives, in C, do not look there.  So every module of ours that
# defines functions imports this as its `__builtins__`, which is where a function that is made gets them from.
BUILTINS: Any = dict(vars(builtins))
__builtins__ = BUILTINS

# where some are at home, and what they are called there
_HOMES = {
    ("builtins", "open"): (_io.__name__, "open"), ("threading", "_allocate_lock"): ("_thread", "allocate_lock"),
    ("_thread", "LockType"): ("_thread", "lock"), ("_sqlite3", "Connection"): ("sqlite3", "Connection"),
    ("_sqlite3", "Cursor"): ("sqlite3", "Cursor"),
}  # fmt: skip


def is_own(thing: Any, module: types.ModuleType, name: str) -> bool:
    """Whether `thing` is the function or class that `module` came with as `name` ("sleep", "socket.detach")."""
    home, name = _HOMES.get((module.__name__, name), (module.__name__, name))
    kind = type(thing)
    if kind is types.BuiltinFunctionType:
        return thing.__name__ == name and getattr(thing.__self__, "__name__", None) == home
    if kind is types.FunctionType:
        return thing.__globals__ is vars(module) and thing.__qualname__ == name
    return issubclass(kind, type) and thing.__module__ == home and thing.__qualname__ == name


def pristine(module: types.ModuleType, name: str) -> Any:
    """What `module` came with as `name`, a function, class or method, also if a wrapper has taken its place; None: nothing.

    Whoever wraps it holds it, and the collector knows what is held.  If it is gone, what has taken its place is all there is.
    """
    *path, last = name.split(".")
    owner = module
    for part in path:
        owner = pristine(module, part)
    there = vars(owner).get(last)
    if there is None:
        return getattr(owner, last, None)  # a method of a base class
    if is_own(there, module, name):
        return there
    # HAZARD: one list of both would be among the objects, and hold itself
    found = [one for one in object.__subclasses__() if is_own(one, module, name)]
    found += [one for one in gc.get_objects() if is_own(one, module, name)]
    # a copy of the module has its own; a function may bear the name of the type of what it makes
    found.sort(key=lambda one: (isinstance(one, type), getattr(one, "__self__", module) is not module))
    above = [vars(kind)[last] for kind in getattr(owner, "__mro__", ())[1:] if last in vars(kind)]
    return [*found, *above, there][0]


# threads
allocate_lock: Any = pristine(_thread, "allocate_lock")
allocate: Any = pristine(_thread, "allocate")  # its old name
LockType: Any = pristine(_thread, "LockType")
RLock: Any = pristine(_thread, "RLock")
local: Any = pristine(_thread, "_local")
get_ident: Any = pristine(_thread, "get_ident")
start_new_thread: Any = pristine(_thread, "start_new_thread")
thread_count: Any = pristine(_thread, "_count")
TIMEOUT_MAX = _thread.TIMEOUT_MAX
SimpleQueue: Any = pristine(_queue, "SimpleQueue")
Empty = _queue.Empty
set_sentinel: Any = pristine(_thread, "_set_sentinel")
start_joinable_thread: Any = pristine(_thread, "start_joinable_thread")
ThreadHandle: Any = pristine(_thread, "_ThreadHandle")
make_thread_handle: Any = pristine(_thread, "_make_thread_handle")
thread_shutdown: Any = pristine(_thread, "_shutdown")
set_name: Any = pristine(_thread, "set_name")
get_name: Any = pristine(_thread, "_get_name")

# time
sleep: Any = pristine(time, "sleep")
monotonic: Any = pristine(time, "monotonic")

# select
select_select: Any = pristine(select, "select")
poll: Any = pristine(select, "poll")
epoll: Any = pristine(select, "epoll")
kqueue: Any = pristine(select, "kqueue")

# sockets: the C methods, called as plain functions with the socket first
socket: Any = pristine(_socket, "socket")
sock_fileno = socket.fileno
sock_gettimeout = socket.gettimeout
sock_settimeout = socket.settimeout
getaddrinfo: Any = pristine(_socket, "getaddrinfo")
getnameinfo: Any = pristine(_socket, "getnameinfo")
gethostbyname: Any = pristine(_socket, "gethostbyname")
gethostbyname_ex: Any = pristine(_socket, "gethostbyname_ex")
getservbyname: Any = pristine(_socket, "getservbyname")
getservbyport: Any = pristine(_socket, "getservbyport")
getprotobyname: Any = pristine(_socket, "getprotobyname")
socket_close: Any = pristine(_socket, "close")
getdefaulttimeout: Any = pristine(_socket, "getdefaulttimeout")
gethostbyaddr: Any = pristine(_socket, "gethostbyaddr")

# os
os_open: Any = pristine(_posix, "open")
os_read: Any = pristine(_posix, "read")
os_write: Any = pristine(_posix, "write")
os_close: Any = pristine(_posix, "close")
fcntl: Any = pristine(_fcntl, "fcntl")
os_waitpid: Any = pristine(_posix, "waitpid")
os_getpid: Any = pristine(_posix, "getpid")
os_fstat: Any = pristine(_posix, "fstat")
os_stat: Any = pristine(_posix, "stat")
os_get_blocking: Any = pristine(_posix, "get_blocking")
os_set_blocking: Any = pristine(_posix, "set_blocking")

# io, signal
io_open: Any = pristine(builtins, "open")
set_signal: Any = pristine(_signal, "signal")
siginterrupt: Any = pristine(_signal, "siginterrupt")

current_frames: Any = pristine(sys, "_current_frames")
current_exceptions: Any = pristine(sys, "_current_exceptions")
excepthook = sys.__excepthook__
unraisablehook = sys.__unraisablehook__
settrace: Any = pristine(sys, "settrace")
pthread_sigmask: Any = pristine(_signal, "pthread_sigmask")
pthread_kill: Any = pristine(_signal, "pthread_kill")
getsignal: Any = pristine(_signal, "getsignal")
settraceallthreads: Any = pristine(sys, "_settraceallthreads")
setprofileallthreads: Any = pristine(sys, "_setprofileallthreads")
setprofile: Any = pristine(sys, "setprofile")
_monitoring: Any = getattr(sys, "monitoring", sys)  # since 3.12
set_events: Any = pristine(_monitoring, "set_events")
restart_events: Any = pristine(_monitoring, "restart_events")
use_tool_id: Any = pristine(_monitoring, "use_tool_id")
set_asyncgen_hooks: Any = pristine(sys, "set_asyncgen_hooks")
set_coroutine_origin_tracking_depth: Any = pristine(sys, "set_coroutine_origin_tracking_depth")
set_lazy_imports_filter: Any = pristine(sys, "set_lazy_imports_filter")
get_lazy_imports_filter: Any = pristine(sys, "get_lazy_imports_filter")
thread_excepthook: Any = pristine(_thread, "_excepthook")
get_errno: Any = None  # of ctypes, once it is patched
set_errno: Any = None


def keep_errno(real: Any) -> None:
    """`real` is `ctypes.get_errno` or `ctypes.set_errno`: nobody imports ctypes for that."""
    globals()[real.__name__] = real


def other_patcher() -> str | None:
    """The name of another patcher, at work since before this module was imported or by now; None if there is none.

    Who wraps a function is none, be it written in Python: it calls what it found, and that is cooperative then.
    """
    for name in ("gevent", "eventlet"):
        monkey = sys.modules.get(f"{name}.monkey") or sys.modules.get(f"{name}.patcher")
        if getattr(monkey, "saved", None) or getattr(monkey, "already_patched", None):
            return name
    for module, name in ((time, "sleep"), (select, "select"), (_thread, "start_new_thread"), (_posix, "fork")):
        there = getattr(module, name, None)
        package = str(getattr(getattr(there, "__wrapped__", there), "__module__", None)).partition(".")[0]
        if package in ("gevent", "eventlet", "dhagapatch"):
            return "another copy of dhagapatch" if package == "dhagapatch" else package
    return None
