"""The unpatched C callables, captured when this module is first imported.

Only C callables live here: a Python-level class of the standard library is a patched thing in disguise,
because its methods read module globals.  Everything below this line of the package that must block, or must
not be patched, takes its functions from here and from nowhere else.
"""

from __future__ import annotations

import _queue
import _signal
import _socket
import _thread
import builtins
import fcntl as _fcntl
import os
import select
import sys
import time
import types
from typing import Any

__all__ = ["other_patcher", "other_patcher_now"]

# HAZARD: a program may exchange what `builtins` holds (`builtins.len = lru_cache(len)`) for what takes a lock; called between two
# dhagas it would wait there for ever.  The interpreter's own primitives, in C, do not look there.  So every module of ours that
# defines functions imports this as its `__builtins__`, which is where a function that is made gets them from.
BUILTINS: Any = dict(vars(builtins))
__builtins__ = BUILTINS

# threads
allocate_lock = _thread.allocate_lock
allocate = _thread.allocate  # its old name
LockType = _thread.LockType
RLock = _thread.RLock
local = _thread._local
get_ident = _thread.get_ident
start_new_thread = _thread.start_new_thread
thread_count = _thread._count
TIMEOUT_MAX = _thread.TIMEOUT_MAX
SimpleQueue = _queue.SimpleQueue
Empty = _queue.Empty
set_sentinel: Any = getattr(_thread, "_set_sentinel", None)
start_joinable_thread: Any = getattr(_thread, "start_joinable_thread", None)
ThreadHandle: Any = getattr(_thread, "_ThreadHandle", None)
make_thread_handle: Any = getattr(_thread, "_make_thread_handle", None)
thread_shutdown: Any = getattr(_thread, "_shutdown", None)

# time
sleep = time.sleep
monotonic = time.monotonic

# select
select_select = select.select
poll: Any = getattr(select, "poll", None)
epoll: Any = getattr(select, "epoll", None)
kqueue: Any = getattr(select, "kqueue", None)

# sockets: the C methods, called as plain functions with the socket first
socket = _socket.socket
sock_fileno = _socket.socket.fileno
sock_gettimeout = _socket.socket.gettimeout
sock_settimeout = _socket.socket.settimeout
getaddrinfo = _socket.getaddrinfo
getnameinfo = _socket.getnameinfo
gethostbyname = _socket.gethostbyname
gethostbyname_ex = _socket.gethostbyname_ex
getservbyname = _socket.getservbyname
getservbyport = _socket.getservbyport
getprotobyname = _socket.getprotobyname
socket_close = _socket.close
getdefaulttimeout = _socket.getdefaulttimeout
gethostbyaddr = _socket.gethostbyaddr

# os
os_open = os.open
os_read = os.read
os_write = os.write
os_close = os.close
fcntl = _fcntl.fcntl
os_waitpid = os.waitpid
os_getpid = os.getpid
os_fstat = os.fstat
os_stat = os.stat
os_get_blocking = os.get_blocking
os_set_blocking = os.set_blocking

# io, signal
io_open = builtins.open
set_signal = _signal.signal
siginterrupt: Any = getattr(_signal, "siginterrupt", None)

current_frames = sys._current_frames
current_exceptions = sys._current_exceptions
excepthook = sys.__excepthook__
unraisablehook = sys.__unraisablehook__
settrace = sys.settrace
pthread_sigmask: Any = getattr(_signal, "pthread_sigmask", None)
settraceallthreads: Any = getattr(sys, "_settraceallthreads", None)
setprofileallthreads: Any = getattr(sys, "_setprofileallthreads", None)
setprofile = sys.setprofile
thread_excepthook: Any = _thread._excepthook


def other_patcher() -> str | None:
    """The name of a patcher that was at work before this module was imported, or None."""
    originals = (get_ident, start_new_thread, sleep, select_select, getaddrinfo, os_read)
    if all(isinstance(function, types.BuiltinFunctionType) for function in originals):
        return None
    for name in ("gevent", "eventlet"):
        if name in sys.modules:
            return name
    for function in originals:
        if not isinstance(function, types.BuiltinFunctionType):
            return str(getattr(function, "__module__", None) or "an unknown patcher").split(".")[0]
    return None


def other_patcher_now() -> str | None:
    """The name of another patcher that has been at work by now, or None."""
    for name in ("gevent", "eventlet"):
        monkey = sys.modules.get(f"{name}.monkey") or sys.modules.get(f"{name}.patcher")
        if monkey is None:
            continue
        if getattr(monkey, "saved", None) or getattr(monkey, "already_patched", None):
            return name
    return None
