"""What is patched, as data: one row a name, in the order in which it is patched.

Only literals stand here, and sources are strings, so reading the table imports nothing.  A name that another module
holds too (`threading.Lock` for `_thread.allocate_lock`, `signal.pause` for `_signal.pause`) needs no row: its holders are
found and rebound.  `exempt.py` names what is left alone, and why.  Together they are exhaustive: a test compares them
with what the modules have, and the reference page of what is patched is written from them.  `PACKAGES` are rows for what
is not the standard library's.
"""

from __future__ import annotations

from typing import NamedTuple

from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.budget import CALL, QUESTION

__all__ = ["GROUPS", "OFFLOAD", "OFFLOAD_GROUPS", "OPTIONAL", "PACKAGES", "REPLACE", "SET", "TABLE", "TELL", "WRAP", "Row"]

SET = "set in place"  # on a class: every instance and subclass follows; or in a module, for its own functions alone
REPLACE = "replace name"  # C functions and types: the name, and every holder of the old object
WRAP = "wrap object"  # the source is called with the real object, and gives the green one, or the same if it is left
TELL = "told"  # the source is called with the real object, has it do so in place, and gives how to take it back; None: left
OFFLOAD = "offloaded"  # the source is called with what the module or class holds: the user named it for native threads


class Row(NamedTuple):
    """One patched name.

    `since` and `until` are Python versions, the first with it and the first without.  `platforms` are the values of
    `sys.platform` where the name must exist (empty: all); where it does not, the row is passed over.  `cost` is what a call
    of the function pays (`core.budget`), before it does anything; `quick`: it never waits, so a kill is left for one that does.
    """

    module: str
    name: str
    source: str
    group: str
    action: str = REPLACE
    since: tuple[int, int] = (3, 11)
    until: tuple[int, int] = (4, 0)
    why: str = ""
    platforms: tuple[str, ...] = ()
    cost: int = CALL
    quick: bool = False


def _thread(name: str, target: str, why: str, since: tuple[int, int] = (3, 11), until: tuple[int, int] = (4, 0)) -> Row:
    return Row("_thread", name, f"_thread:{target}", "thread", REPLACE, since, until, why, cost=0)


def _socket(name: str, why: str, target: str | None = None, cost: int = CALL) -> Row:
    return Row("socket", f"socket.{name}", target or f"socket:{name}", "socket", SET, why=why, cost=cost, quick=not cost)


def _os(name: str, why: str, *platforms: str, quick: bool = False, since: tuple[int, int] = (3, 11)) -> Row:
    return Row("posix", name, f"os:{name}", "os", since=since, why=why, platforms=platforms, quick=quick)


def _signal(name: str, why: str, *platforms: str, quick: bool = False) -> Row:
    return Row("_signal", name, f"signal:{name}", "signal", why=why, platforms=platforms, quick=quick)


def _buffered(name: str) -> Row:
    return Row("_io", name, "buffers:take_turns", "thread", TELL, why="threads that share one wait for each other")


def _child(module: str, name: str, why: str) -> Row:
    return Row(module, name, f"startup:{name}", "children", why=why, cost=0)


TABLE: tuple[Row, ...] = (
    # threads
    _thread("start_new_thread", "start_new_thread", "threads become dhagas"),
    _thread("start_new", "start_new_thread", "obsolete alias"),
    _thread("start_joinable_thread", "start_joinable_thread", "threads become dhagas", since=(3, 13)),
    _thread("_ThreadHandle", "ThreadHandle", "joining a thread waits", since=(3, 13)),
    _thread("_make_thread_handle", "make_thread_handle", "joining the main thread waits", since=(3, 13)),
    _thread("_shutdown", "shutdown", "joins all threads at exit", since=(3, 13)),
    _thread("_set_sentinel", "set_sentinel", "joining a thread waits for this lock", until=(3, 13)),
    # the first of these stands for all when green locks are exchanged for real ones again
    _thread("lock", "lock", "the type of locks", since=(3, 13)),
    _thread("allocate_lock", "allocate_lock", "acquiring a lock waits"),
    _thread("allocate", "allocate", "obsolete alias"),
    _thread("LockType", "lock", "the type of locks"),
    _thread("RLock", "RLock", "acquiring a lock waits; owned by a dhaga"),
    _thread("get_ident", "get_ident", "each dhaga is a thread of its own"),
    _thread("_count", "count", "counts dhagas"),
    _thread("set_name", "set_name", "the name of the OS thread stays", since=(3, 14)),
    _thread("_get_name", "get_name", "each dhaga has a name of its own", since=(3, 14)),
    Row("_thread", "_local", "threadlocal:local", "thread", REPLACE, why="each dhaga has data of its own"),
    Row("_queue", "SimpleQueue", "_thread:simple_queue_for", "thread", WRAP, why="get waits"),
    _buffered("BufferedReader"),
    _buffered("BufferedWriter"),
    _buffered("BufferedRandom"),
    Row("threading", "_allocate_lock", "_thread:allocate_lock", "thread", SET,
        why="a condition makes a lock for each wait, and what stands for a built-in function takes longer"),
    Row("threading", "_maintain_shutdown_locks", "threading:maintain_shutdown_locks", "thread", until=(3, 13),
        why="its cost grows with the threads that run"),
    Row("threading", "active_count", "threading:active_count", "thread", why="threads that were told to end do so first"),
    Row("threading", "enumerate", "threading:enumerate", "thread", why="threads that were told to end do so first"),
    Row("threading", "Event.is_set", "threading:is_set", "thread", SET, why="asked in a loop, it lets the others run"),
    Row("sys", "_current_frames", "sys:current_frames", "thread", why="shows dhagas too", cost=0),
    Row("sys", "_setprofileallthreads", "sys:setprofileallthreads", "thread", since=(3, 12), why="reaches dhagas too", cost=0),
    Row("sys", "_settraceallthreads", "sys:settraceallthreads", "thread", since=(3, 12), why="reaches dhagas too", cost=0),
    Row("sys", "monitoring.set_events", "sys:set_events", "thread", since=(3, 12), until=(3, 13), cost=0,
        why="reaches dhagas too"),
    Row("sys", "monitoring.restart_events", "sys:restart_events", "thread", since=(3, 12), until=(3, 13), cost=0,
        why="reaches dhagas too"),
    Row("sys", "_current_exceptions", "sys:current_exceptions", "thread", why="shows dhagas too", cost=0),
    Row("sys", "set_asyncgen_hooks", "sys:noted", "thread", WRAP, cost=0,
        why="each dhaga has its own; left where the compiled part is"),
    Row("sys", "set_coroutine_origin_tracking_depth", "sys:noted", "thread", WRAP, cost=0,
        why="each dhaga has its own; left where the compiled part is"),
    Row("sys", "monitoring.use_tool_id", "sys:use_tool_id", "thread", since=(3, 12), cost=0,
        why="what the runtime uses is free"),
    Row("sys", "set_lazy_imports_filter", "sys:set_lazy_imports_filter", "thread", since=(3, 15), cost=0,
        why="the runtime's imports are made at once"),
    Row("sys", "get_lazy_imports_filter", "sys:get_lazy_imports_filter", "thread", since=(3, 15), cost=0,
        why="shows the program's"),
    Row("cProfile", "Profile.enable", "profile:profiled", "thread", WRAP, why="up to 3.11 each dhaga has its profiler"),
    Row("faulthandler", "dump_traceback", "faulthandler:dump_traceback", "thread", why="shows dhagas too", cost=0),
    Row("ctypes", "get_errno", "sys:noted", "thread", WRAP, cost=0,
        why="each dhaga has its own; left where the compiled part is"),
    Row("ctypes", "set_errno", "sys:noted", "thread", WRAP, cost=0,
        why="each dhaga has its own; left where the compiled part is"),
    Row("ctypes", "pythonapi.PyThreadState_SetAsyncExc", "asyncexc:SetAsyncExc", "thread", WRAP, why="reaches dhagas"),
    # imports
    Row("_imp", "acquire_lock", "imp:acquire_lock", "thread", why="each dhaga holds the import lock for itself", cost=0),
    Row("_imp", "release_lock", "imp:release_lock", "thread", why="each dhaga holds the import lock for itself", cost=0),
    Row("_imp", "lock_held", "imp:lock_held", "thread", why="each dhaga holds the import lock for itself", cost=0),
    # loops
    Row("asyncio.base_events", "BaseEventLoop._run_once", "asyncio:run_once", "thread", SET, why="a turn lets the others run"),
    # what is printed of an uncaught exception
    Row("sys", "excepthook", "excepthook:excepthook", "traceback", why="leaves out the runtime's frames", cost=0),
    Row("_thread", "_excepthook", "excepthook:thread_excepthook", "traceback", why="leaves out the runtime's frames"),
    Row("sys", "unraisablehook", "excepthook:unraisablehook", "traceback", why="leaves out the runtime's frames"),
    Row("traceback", "walk_tb", "traceback:walk_tb", "traceback", why="leaves out the runtime's frames"),
    Row("traceback", "walk_stack", "traceback:walk_stack", "traceback", why="leaves out the runtime's frames"),
    Row("traceback", "_walk_tb_with_full_positions", "traceback:walk_positions", "traceback",
        why="leaves out the runtime's frames"),
    # where a debugger that steps stops
    Row("bdb", "Bdb.stop_here", "bdb:stop_here", "traceback", SET, why="leaves out the runtime's frames"),
    # time
    Row("time", "sleep", "time:sleep", "time", why="waits"),
    # sockets
    _socket("__init__", "a descriptor number comes anew", "connections:socket_init", 0),
    _socket("_accept", "waits for a connection", "connections:accept"),
    _socket("connect", "waits for the peer, and looks up the name", "connections:connect"),
    _socket("connect_ex", "waits for the peer, and looks up the name", "connections:connect_ex"),
    _socket("recv", "waits for data"),
    _socket("recv_into", "waits for data"),
    _socket("recvfrom", "waits for data"),
    _socket("recvfrom_into", "waits for data"),
    _socket("recvmsg", "waits for data"),
    _socket("recvmsg_into", "waits for data"),
    _socket("send", "waits for room"),
    _socket("sendall", "waits for room"),
    _socket("sendto", "waits for room, and looks up the name"),
    _socket("sendmsg", "waits for room"),
    _socket("bind", "looks up the name", "connections:bind"),
    _socket("settimeout", "the timeout is kept by the runtime", "timeouts:settimeout", 0),
    _socket("gettimeout", "the timeout is kept by the runtime", "timeouts:gettimeout", 0),
    _socket("setblocking", "the timeout is kept by the runtime", "timeouts:setblocking", 0),
    _socket("getblocking", "the timeout is kept by the runtime", "timeouts:getblocking", 0),
    _socket("timeout", "the timeout is kept by the runtime", "timeouts:timeout"),
    _socket("setsockopt", "the kernel's own timeouts are kept by the runtime", "timeouts:setsockopt", 0),
    _socket("detach", "the descriptor gets another owner", "connections:detach", 0),
    _socket("_real_close", "wakes those who wait", "connections:real_close", 0),
    # names
    Row("_socket", "getaddrinfo", "resolve:getaddrinfo", "dns", why="asks a name server"),
    Row("_socket", "gethostbyname", "resolve:gethostbyname", "dns", why="asks a name server"),
    Row("_socket", "gethostbyname_ex", "resolve:gethostbyname_ex", "dns", why="asks a name server"),
    Row("_socket", "gethostbyaddr", "resolve:gethostbyaddr", "dns", why="asks a name server"),
    Row("_socket", "getnameinfo", "resolve:getnameinfo", "dns", why="asks a name server"),
    Row("_socket", "getservbyname", "resolve:getservbyname", "dns", why="may ask a directory service"),
    Row("_socket", "getservbyport", "resolve:getservbyport", "dns", why="may ask a directory service"),
    Row("_socket", "getprotobyname", "resolve:getprotobyname", "dns", why="may ask a directory service"),
    Row("_socket", "close", "os:close_socket", "socket", why="the descriptor number may come anew", quick=True),
    # TLS
    Row("ssl", "SSLContext._wrap_socket", "ssl:wrap_socket", "ssl", SET, why="handshake, read, write and unwrap wait"),
    # select
    Row("select", "select", "select:select", "select", why="waits", cost=QUESTION),
    Row("select", "poll", "select:make_poll", "select", why="waits"),
    Row("select", "epoll", "select:epoll", "select", why="waits", platforms=("linux",)),
    # os
    _os("open", "opening a FIFO waits for the other end"),
    _os("read", "waits for data"),
    _os("readinto", "waits for data", since=(3, 14)),
    _os("readv", "waits for data"),
    _os("preadv", "at the present place it waits for data"),
    _os("pwritev", "at the present place it waits for room"),
    _os("sched_yield", "lets the others run", quick=True),
    _os("write", "waits for room"),
    _os("writev", "waits for room"),
    _os("sendfile", "waits for room"),
    _os("splice", "waits for both ends", "linux"),
    _os("eventfd_read", "waits for a count", "linux"),
    _os("eventfd_write", "waits for room", "linux"),
    _os("lockf", "waits for the lock"),
    _os("close", "the descriptor number may come anew", quick=True),
    _os("set_blocking", "the descriptor's mode counts anew", quick=True),
    _os("closerange", "the descriptor numbers may come anew", quick=True),
    _os("dup2", "the descriptor number comes anew", quick=True),
    Row("posix", "waitpid", "children:waitpid", "os", why="waits for a child"),
    Row("posix", "wait", "children:wait", "os", why="waits for a child"),
    Row("posix", "wait3", "children:wait3", "os", why="waits for a child"),
    Row("posix", "wait4", "children:wait4", "os", why="waits for a child"),
    Row("posix", "waitid", "children:waitid", "os", why="waits for a child", platforms=("linux",)),
    Row("posix", "system", "children:system", "os", why="waits for a child"),
    Row("posix", "fsync", "disk:fsync", "blocking", why="a native thread waits for a slow disk"),
    Row("posix", "fdatasync", "disk:fdatasync", "blocking", why="a native thread waits for a slow disk"),
    Row("posix", "sync", "disk:sync", "blocking", why="a native thread waits for a slow disk"),
    Row("posix", "fork", "children:fork", "os", why="the runtime's own threads come back after it", cost=0),
    Row("posix", "forkpty", "children:forkpty", "os", why="the runtime's own threads come back after it", cost=0),
    # files
    Row("builtins", "open", "io:open", "io", why="files over pipes, FIFOs and terminals wait"),
    Row("builtins", "input", "stdio:input", "io", why="waits for the terminal"),
    Row("getpass", "_raw_input", "getpass:read_password", "io", SET, why="waits for the terminal"),
    Row("readline", "set_auto_history", "readline:set_auto_history", "io", why="lines are edited by the runtime"),
    Row("sys", "stdin", "stdio:stdin", "io", WRAP, why="waits for a pipe or a terminal"),
    Row("sys", "stdout", "stdio:stdout", "io", WRAP, why="waits for room in a pipe or a terminal"),
    Row("sys", "stderr", "stdio:stderr", "io", WRAP, why="waits for room in a pipe or a terminal"),
    Row("fcntl", "flock", "fcntl:flock", "fcntl", why="waits for the lock"),
    Row("fcntl", "lockf", "fcntl:lockf", "fcntl", why="waits for the lock"),
    Row("fcntl", "fcntl", "fcntl:fcntl", "fcntl", why="F_SETLKW waits for the lock"),
    # signals
    _signal("signal", "handlers run in the main dhaga", quick=True),
    _signal("getsignal", "shows the user's handler", quick=True),
    _signal("pause", "waits for a signal"),
    Row("_signal", "sigwait", "sigwait:sigwait", "signal", why="waits for a signal"),
    Row("_signal", "sigwaitinfo", "sigwait:sigwaitinfo", "signal", why="waits for a signal", platforms=("linux",)),
    Row("_signal", "sigtimedwait", "sigwait:sigtimedwait", "signal", why="waits for a signal", platforms=("linux",)),
    _signal("pthread_sigmask", "each dhaga has a mask of its own", quick=True),
    _signal("set_wakeup_fd", "the runtime's own signals are not told there", quick=True),
    _signal("raise_signal", "others may wait for what it does", quick=True),
    _signal("pthread_kill", "knows the identities of dhagas", quick=True),
    # processes
    Row("_multiprocessing", "SemLock", "multiprocessing:SemLock", "multiprocessing", why="acquiring waits"),
    # children that start patched
    _child("_posixsubprocess", "fork_exec", "the environment of a child"),
    _child("posix", "posix_spawn", "the environment of a child"),
    _child("posix", "posix_spawnp", "the environment of a child"),
    _child("posix", "execve", "the environment of the next program"),
    _child("posix", "putenv", "the environment that children inherit"),
    _child("posix", "unsetenv", "the environment that children inherit"),
    # databases, on native threads
    Row("_sqlite3", "Connection", "sqlite3:Connection", "sqlite3", why="what a connection does waits; without it, it blocks"),
    Row("_sqlite3", "Cursor", "sqlite3:Cursor", "sqlite3", why="what a cursor does waits; without it, it blocks"),
    Row("_sqlite3", "connect", "sqlite3:connect", "sqlite3", why="makes such connections"),
)



def _work(module: str, name: str, source: str, since: tuple[int, int] = (3, 11)) -> Row:
    why = "where it takes long, a native thread does it"
    return Row(module, name, f"work:{source}", "blocking", TELL, since=since, why=why)


def _pyopenssl(name: str, source: str = "waiting") -> Row:
    return Row("OpenSSL.SSL", f"Connection.{name}", f"pyopenssl:{source}", "packages", WRAP, why="on a blocking socket it waits")


_DIGESTS = (
    "md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_224", "sha3_256", "sha3_384", "sha3_512", "shake_128",
    "shake_256",
)  # fmt: skip


def _interpreters(name: str) -> Row:
    why = "another interpreter runs meanwhile"
    return Row("_interpreters", name, "exchange:in_another_interpreter", "packages", WRAP, since=(3, 13), why=why)


def _between_interpreters(module: str, name: str) -> Row:
    why = "asked in a loop, it lets the others run"
    return Row(module, name, "exchange:comes_through", "packages", WRAP, since=(3, 13), why=why, quick=True)


# What is not the standard library's, or seldom used, waits in C, and lets somebody else do it.
PACKAGES: tuple[Row, ...] = (
    Row("psycopg2._psycopg", "set_wait_callback", "psycopg:install", "packages", TELL, why="connecting and queries wait"),
    Row("psycopg.waiting", "wait", "psycopg:waiting", "packages", WRAP, why="connecting and queries wait"),
    Row("zmq.backend", "Socket", "zmq:install", "packages", TELL, why="sending and receiving wait, and ending a context"),
    Row("zmq.backend", "zmq_poll", "zmq:polling", "packages", WRAP, why="waits"),
    Row("zmq.backend", "proxy", "zmq:proxying", "packages", WRAP, why="waits"),
    Row("zmq.backend", "proxy_steerable", "exchange:on_a_native_thread", "packages", WRAP, why="waits"),
    Row("zmq.devices.monitoredqueue", "monitored_queue", "zmq:monitoring", "packages", WRAP, why="waits"),
    Row("_sqlite3", "Connection.execute", "sqlite_waits:install", "packages", TELL, why="a locked database is waited for"),
    Row("grpc._cython.cygrpc", "Channel", "grpc:install", "packages", TELL, why="waiting for events waits"),
    _interpreters("exec"),
    _interpreters("call"),
    _interpreters("run_func"),
    _interpreters("run_string"),
    _interpreters("create"),
    _interpreters("destroy"),
    _between_interpreters("_interpqueues", "get"),
    _between_interpreters("_interpqueues", "put"),
    _between_interpreters("_interpqueues", "get_count"),
    _between_interpreters("_interpqueues", "is_full"),
    _between_interpreters("_interpchannels", "recv"),
    Row("_interpchannels", "send", "exchange:blocking", "packages", WRAP, since=(3, 13), why="waits for who receives it"),
    Row("_interpchannels", "send_buffer", "exchange:blocking", "packages", WRAP, since=(3, 13), why="waits for who receives it"),
    Row("asyncio.runners", "Runner._lazy_init", "loops:lazy_init", "packages", SET, why="a loop of another kind hosts the hub"),
    Row("uvloop", "Loop.run_forever", "loops:hosting", "packages", WRAP, why="it hosts the hub, as it waits in C"),
    Row("pydevd", "PyDB._internal_get_file_type", "pydevd:file_type", "packages", WRAP, why="shows no frame of the runtime"),
    Row("pydevd_tracing", "_load_python_helper_lib", "pydevd:helper", "packages", WRAP, why="traces threads that run already"),
    *(_work("_hashlib", f"openssl_{name}", "hashing") for name in _DIGESTS),
    _work("_hashlib", "new", "named_hashing"),
    _work("_hashlib", "HASH.update", "checksum"),
    _work("_hashlib", "HMAC.update", "checksum"),
    _work("_hashlib", "hmac_digest", "keyed_hashing"),
    _work("_hashlib", "pbkdf2_hmac", "derivation"),
    _work("_hashlib", "scrypt", "scrypt"),
    _work("_blake2", "blake2b.update", "checksum"),
    _work("_blake2", "blake2s.update", "checksum"),
    _work("binascii", "crc32", "checksum"),
    _work("zlib", "crc32", "checksum"),
    _work("zlib", "adler32", "checksum"),
    _work("zlib", "compress", "packing"),
    _work("zlib", "decompress", "unpacking"),
    _work("zlib", "compressobj", "compressobj"),
    _work("zlib", "decompressobj", "decompressobj"),
    _work("zlib", "_ZlibDecompressor.decompress", "unpacking", since=(3, 12)),
    _work("_bz2", "BZ2Compressor.compress", "packing"),
    _work("_bz2", "BZ2Decompressor.decompress", "unpacking"),
    _work("_lzma", "LZMACompressor.compress", "packing"),
    _work("_lzma", "LZMADecompressor.decompress", "unpacking"),
    _work("_zstd", "ZstdCompressor.compress", "packing", since=(3, 14)),
    _work("_zstd", "ZstdDecompressor.decompress", "unpacking", since=(3, 14)),
    _pyopenssl("do_handshake"),
    _pyopenssl("recv"),
    _pyopenssl("recv_into"),
    _pyopenssl("send"),
    _pyopenssl("sendall", "sending_all"),
    _pyopenssl("shutdown"),
)

GROUPS: tuple[str, ...] = tuple(dict.fromkeys(row.group for row in TABLE + PACKAGES))
OPTIONAL = ("children", "sqlite3")  # only when asked for
# groups that are asked for among the names for native threads, and what of each may stand there for the whole
OFFLOAD_GROUPS = {"sqlite3": ("connect", "Connection", "Cursor", "Blob", "dbapi2")}
