"""What the table leaves alone, as data: `EXEMPT` can't make a thread wait, `BLOCKING` can, and still does.

With the rows of the table these lines are exhaustive: a test walks through the public callables of the modules below and
finds each of them in one of the three.  What is only data (exceptions, enumerations, named tuples) needs no line, and
neither does another name of the same object (`os.stat` for `posix.stat`).  The reason given for a class holds for its
methods, unless one of them is named: then all are.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BLOCKING", "EXEMPT", "Exempt"]


class Exempt(NamedTuple):
    """Public names of a module that are left as they are.

    `names` are separated by blanks; "*" stands for all of a module that is written in Python.  `since`, `until` and
    `platforms` (values of `sys.platform`; empty: all) say where the names exist.
    """

    module: str
    names: str
    why: str
    since: tuple[int, int] = (3, 11)
    until: tuple[int, int] = (4, 0)
    platforms: tuple[str, ...] = ()


NEVER = "never waits"
ASKS = "asks the kernel, which answers at once"
DISK = "waits for nothing but a disk"
CALLS_BACK = "waits for nothing but the Python code that it calls"
MADE_OF = "made of patched calls"

EXEMPT: tuple[Exempt, ...] = (
    # threads
    Exempt("_thread", "exit exit_thread interrupt_main stack_size", NEVER),
    Exempt("_thread", "daemon_threads_allowed", NEVER, since=(3, 12)),
    Exempt("_thread", "get_native_id", "tells the OS thread, which dhagas share"),
    Exempt("threading", "Barrier BoundedSemaphore Condition RLock Semaphore Thread Timer", "made of _thread's locks"),
    Exempt("threading", "Event.clear Event.isSet Event.set Event.wait", "made of _thread's locks"),
    Exempt(
        "threading",
        "activeCount currentThread current_thread getprofile gettrace main_thread setprofile settrace",
        "reads or sets a variable",
    ),
    Exempt("threading", "setprofile_all_threads settrace_all_threads", "sets a variable", since=(3, 12)),
    Exempt("threading", "concurrent_tee serialize_iterator synchronized_iterator", "made of _thread's locks", since=(3, 15)),
    Exempt("queue", "LifoQueue PriorityQueue Queue", "made of threading's locks"),
    Exempt("sched", "scheduler", "made of time.sleep and threading's locks"),
    Exempt(
        "concurrent.futures",
        "Executor Future ProcessPoolExecutor ThreadPoolExecutor as_completed wait",
        "made of threads, locks and multiprocessing",
    ),
    Exempt("concurrent.futures", "InterpreterPoolExecutor", "made of threads and patched calls of _interpreters", since=(3, 14)),
    Exempt("sys", "is_remote_debug_enabled", NEVER, since=(3, 14)),
    Exempt("sys", "remote_exec", "leaves a script for another process, and does not wait for it", since=(3, 14)),
    Exempt("sys", "get_lazy_imports set_lazy_imports", NEVER, since=(3, 15)),
    Exempt("builtins", "frozendict sentinel", NEVER, since=(3, 15)),
    Exempt("io", "Reader Writer", "protocols for annotations", since=(3, 14)),
    Exempt("posix", "statx statx_result", DISK, since=(3, 15)),
    Exempt("os", "reload_environ", NEVER, since=(3, 14)),
    Exempt("_imp", "create_builtin create_dynamic exec_builtin exec_dynamic", "loads from a disk, and runs the module's code"),
    Exempt(
        "_imp",
        "extension_suffixes find_frozen get_frozen_object init_frozen is_builtin is_frozen is_frozen_package source_hash",
        NEVER,
    ),
    Exempt("importlib", "import_module reload", "waits for another dhaga's import with _thread's locks"),
    Exempt("importlib", "find_loader", DISK, until=(3, 12)),
    Exempt("importlib", "invalidate_caches", NEVER),
    # time
    Exempt(
        "time",
        "asctime clock_getres clock_gettime clock_gettime_ns clock_settime clock_settime_ns ctime get_clock_info gmtime "
        "localtime mktime monotonic monotonic_ns perf_counter perf_counter_ns process_time process_time_ns "
        "pthread_getcpuclockid strftime strptime thread_time thread_time_ns time time_ns tzset",
        "tells or converts a time",
    ),
    # sockets
    Exempt("_socket", "socket SocketType", "the base of socket.socket; programs make that one"),
    Exempt(
        "_socket",
        "CMSG_LEN CMSG_SPACE htonl htons inet_aton inet_ntoa inet_ntop inet_pton ntohl ntohs getdefaulttimeout setdefaulttimeout",
        NEVER,
    ),
    Exempt("_socket", "dup gethostname if_indextoname if_nameindex if_nametoindex sethostname socketpair", ASKS),
    Exempt(
        "socket",
        "create_connection create_server fromfd getaddrinfo getfqdn has_dualstack_ipv6 recv_fds send_fds socketpair SocketIO",
        "made of socket.socket and patched look-ups",
    ),
    Exempt("socket", "socket.accept socket.close socket.sendfile", "made of patched methods, os.sendfile and selectors"),
    Exempt("socket", "socket.makefile", "makes buffered files, which are patched"),
    Exempt(
        "socket",
        "socket.dup socket.fileno socket.get_inheritable socket.getpeername socket.getsockname socket.getsockopt "
        "socket.listen socket.set_inheritable socket.shutdown",
        ASKS,
    ),
    Exempt("socket", "socket.sendmsg_afalg", "has the kernel encipher in memory", platforms=("linux",)),
    Exempt("socketserver", "*", "made of sockets, selectors and threads"),
    # TLS
    Exempt("ssl", "SSLContext.wrap_socket SSLSocket create_default_context get_server_certificate", "made of patched methods"),
    Exempt("ssl", "wrap_socket", "made of patched methods", until=(3, 12)),
    Exempt("ssl", "SSLObject SSLContext.wrap_bio MemoryBIO", "reads and writes memory only"),
    Exempt(
        "ssl",
        "SSLContext.get_groups SSLContext.set_ciphersuites SSLContext.set_client_sigalgs SSLContext.set_groups "
        "SSLContext.set_server_sigalgs get_sigalgs",
        "reads or sets a field of the context",
        since=(3, 15),
    ),
    Exempt(
        "ssl",
        "SSLContext.load_default_certs SSLContext.load_dh_params SSLContext.load_verify_locations "
        "SSLContext.set_default_verify_paths",
        DISK,
    ),
    Exempt(
        "ssl",
        "SSLContext.cert_store_stats SSLContext.get_ca_certs SSLContext.get_ciphers SSLContext.session_stats "
        "SSLContext.set_alpn_protocols SSLContext.set_ciphers SSLContext.set_ecdh_curve SSLContext.set_npn_protocols "
        "SSLContext.set_servername_callback SSLContext.sslobject_class SSLContext.sslsocket_class DER_cert_to_PEM_cert "
        "PEM_cert_to_DER_cert RAND_add RAND_bytes RAND_status SSLSession cert_time_to_seconds get_default_verify_paths "
        "get_protocol_name",
        NEVER,
    ),
    Exempt("ssl", "SSLContext.set_psk_client_callback SSLContext.set_psk_server_callback", NEVER, since=(3, 13)),
    Exempt("ssl", "RAND_pseudo_bytes match_hostname", NEVER, until=(3, 12)),
    # select
    Exempt("selectors", "BaseSelector DefaultSelector EpollSelector PollSelector SelectSelector", "made of select's objects"),
    # os: reading, writing, descriptors
    Exempt("posix", "copy_file_range pread pwrite", "refuses what has no position: pipes, sockets, terminals"),
    Exempt(
        "posix",
        "DirEntry access chdir chmod chown chroot fchdir fchmod fchown fpathconf fstat fstatvfs ftruncate getcwd getcwdb "
        "getxattr lchown link listdir listxattr lstat mkdir mkfifo mknod pathconf posix_fadvise posix_fallocate readlink "
        "remove removexattr rename replace rmdir scandir setxattr stat statvfs symlink truncate unlink utime",
        DISK,
    ),
    Exempt(
        "posix",
        "dup eventfd get_blocking get_inheritable get_terminal_size isatty login_tty lseek memfd_create openpty "
        "pidfd_open pipe pipe2 set_inheritable tcgetpgrp tcsetpgrp ttyname",
        ASKS,
    ),
    Exempt("posix", "grantpt posix_openpt ptsname unlockpt", ASKS, since=(3, 13)),
    Exempt(
        "posix",
        "timerfd_create timerfd_gettime timerfd_gettime_ns timerfd_settime timerfd_settime_ns",
        "waiting for a timer is os.read",
        since=(3, 13),
    ),
    Exempt("posix", "getrandom urandom", "waits only while the machine starts up"),
    # os: processes
    Exempt("posix", "_exit abort execv", "ends the program"),
    Exempt(
        "posix",
        "WCOREDUMP WEXITSTATUS WIFCONTINUED WIFEXITED WIFSIGNALED WIFSTOPPED WSTOPSIG WTERMSIG confstr cpu_count ctermid "
        "device_encoding fspath major makedev minor register_at_fork strerror sysconf "
        "waitstatus_to_exitcode",
        NEVER,
    ),
    Exempt(
        "posix",
        "getegid geteuid getgid getgroups getloadavg getlogin getpgid getpgrp getpid getppid getpriority getresgid "
        "getresuid getsid getuid kill killpg nice sched_get_priority_max sched_get_priority_min sched_getaffinity "
        "sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setparam sched_setscheduler "
        "setegid seteuid setgid setgroups setpgid setpgrp setpriority setregid setresgid setresuid setreuid setsid setuid "
        "times umask uname",
        ASKS,
    ),
    Exempt("posix", "setns unshare", ASKS, since=(3, 12)),
    Exempt("os", "execl execle execlp execlpe execvp execvpe", "ends the program"),
    Exempt("os", "fdopen popen", "made of open and subprocess"),
    Exempt("os", "spawnl spawnle spawnlp spawnlpe spawnv spawnve spawnvp spawnvpe", "made of fork and waitpid"),
    Exempt("os", "fwalk makedirs removedirs renames walk", DISK),
    Exempt("os", "PathLike fsdecode fsencode get_exec_path getenv getenvb", NEVER),
    Exempt("os", "process_cpu_count", NEVER, since=(3, 13)),
    Exempt(
        "subprocess",
        "CompletedProcess Popen call check_call check_output getoutput getstatusoutput list2cmdline run",
        "made of files over pipes, selectors, os.read and waitpid",
    ),
    Exempt("multiprocessing", "*", "made of fork, pipes, SemLock and os.waitpid"),
    Exempt("multiprocessing.connection", "*", "made of sockets, os.read and os.write"),
    Exempt("multiprocessing.managers", "*", "made of sockets and threads"),
    Exempt("multiprocessing.pool", "*", "made of threads and queues"),
    Exempt("multiprocessing.queues", "*", "made of pipes, SemLock and threads"),
    Exempt("multiprocessing.shared_memory", "*", DISK),
    Exempt("multiprocessing.synchronize", "*", "made of SemLock"),
    Exempt("_multiprocessing", "sem_unlink", ASKS),
    Exempt("_posixshmem", "shm_open shm_unlink", ASKS),
    # files
    Exempt("_io", "BytesIO IncrementalNewlineDecoder StringIO text_encoding", "works on memory"),
    Exempt("io", "BufferedIOBase IOBase RawIOBase TextIOBase", "waits for nothing but the methods of its subclass"),
    Exempt(
        "builtins",
        "abs ascii bin bool bytearray bytes callable chr classmethod complex delattr dict dir divmod enumerate float "
        "format frozenset getattr globals hasattr hash hex id int isinstance issubclass len list locals memoryview object "
        "oct ord pow property range repr reversed round set setattr slice staticmethod str super tuple type vars",
        NEVER,
    ),
    Exempt(
        "builtins",
        "aiter all anext any compile eval exec filter iter map max min next sorted sum zip __import__",
        CALLS_BACK,
    ),
    Exempt("builtins", "print", "made of sys.stdout"),
    Exempt("builtins", "breakpoint copyright credits exit help license quit", "made of input and print"),
    Exempt("shutil", "*", "waits for a disk; pipes and terminals go through os and open"),
    Exempt("tempfile", "*", DISK),
    Exempt("mmap", "mmap", DISK),
    Exempt("termios", "tcflow tcflush tcgetattr tcgetwinsize tcsetwinsize", ASKS),
    Exempt("tty", "cfmakecbreak cfmakeraw", NEVER, since=(3, 12)),
    Exempt("pty", "fork openpty spawn", "made of os.forkpty, os.read and select"),
    Exempt("pty", "master_open slave_open", ASKS, until=(3, 14)),
    # signals
    Exempt(
        "_signal",
        "alarm default_int_handler getitimer pidfd_send_signal setitimer "
        "siginterrupt sigpending strsignal valid_signals",
        ASKS,
    ),
    Exempt("signal", "getsignal pthread_sigmask signal sigpending sigwait valid_signals", "made of _signal's functions"),
    # the interpreter
    Exempt(
        "sys",
        "exc_info exception exit get_asyncgen_hooks get_coroutine_origin_tracking_depth get_int_max_str_digits "
        "getallocatedblocks getdefaultencoding getdlopenflags getfilesystemencodeerrors getfilesystemencoding getprofile "
        "getrecursionlimit getrefcount getsizeof getswitchinterval gettrace intern is_finalizing "
        "set_int_max_str_digits setdlopenflags setprofile setrecursionlimit "
        "setswitchinterval settrace",
        "reads or sets a variable",
    ),
    Exempt(
        "sys",
        "activate_stack_trampoline deactivate_stack_trampoline getunicodeinternedsize is_stack_trampoline_active",
        "reads or sets a variable",
        since=(3, 12),
    ),
    Exempt("sys", "addaudithook audit breakpointhook call_tracing displayhook", CALLS_BACK),
    Exempt("asyncio", "*", "runs on selectors, sockets, threads and children: a loop of its own in each dhaga"),
    Exempt("logging", "*", "made of locks and files"),
    Exempt("logging.handlers", "*", "made of locks, files, sockets and queues"),
    Exempt(
        "sqlite3",
        "Binary Date DateFromTicks PrepareProtocol Row Time TimeFromTicks Timestamp TimestampFromTicks adapt "
        "complete_statement enable_callback_tracebacks register_adapter register_converter",
        NEVER,
    ),
    Exempt("sqlite3", "enable_shared_cache", NEVER, until=(3, 12)),
)

# Each of these blocks the OS thread, and all its dhagas, as long as it waits.
BLOCKING: tuple[Exempt, ...] = (
    Exempt("posix", "getgrouplist initgroups", "asks the directory service, where one is configured"),
    Exempt("pwd", "getpwall getpwnam getpwuid", "asks the directory service, where one is configured"),
    Exempt("grp", "getgrall getgrgid getgrnam", "asks the directory service, where one is configured"),
    Exempt("_io", "FileIO", "made directly over a pipe or a terminal it waits in C; open(fd, buffering=0) waits well"),
    Exempt("_io", "open_code", "waits on a FIFO"),
    Exempt("_io", "BufferedRWPair TextIOWrapper", "over a FileIO made directly it waits in C"),
    Exempt("termios", "tcdrain tcsendbreak tcsetattr", "waits until a serial line has sent what was written"),
    Exempt("tty", "setcbreak setraw", "made of termios.tcsetattr"),
    Exempt("fcntl", "ioctl", "waits as long as the device wants"),
    Exempt("ssl", "SSLContext.load_cert_chain", "without a password for an enciphered key OpenSSL asks at the terminal"),
    Exempt("sqlite3", "Blob", 'reads the database in C; with offload=["sqlite3"] on the native thread of its connection'),
    Exempt("syslog", "syslog", "waits for room in the log's socket"),
    Exempt("ctypes", "CDLL PyDLL", "what a foreign function does can't be known; dhagapatch.offload(function) runs it beside"),
    Exempt("select", "kqueue", "its control waits", platforms=("darwin",)),
    Exempt("select", "devpoll", "its poll waits", platforms=("sunos5",)),
)
