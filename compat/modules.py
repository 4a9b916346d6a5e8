"""Which modules of the interpreter's own ``test`` package are run: those that threads, sockets, processes and loops touch."""

from __future__ import annotations

import json
import subprocess
from typing import NamedTuple

__all__ = ["DISTANT", "FAST", "MOVED", "NEAR", "Found", "find", "has"]

ASYNCIO = (
    "base_events", "buffered_proto", "context", "eager_task_factory", "events", "free_threading", "futures", "futures2",
    "graph", "locks", "queues", "runners", "selector_events", "sendfile", "server", "server_context", "sock_lowlevel", "ssl",
    "sslproto", "staggered", "streams", "subprocess", "taskgroups", "tasks", "threads", "timeouts", "tools", "unix_events",
    "waitfor",
)  # fmt: skip
MODULES = (
    "_interpchannels", "_interpreters", "asynchat", "asyncore", *(f"asyncio.test_{name}" for name in ASYNCIO), "atexit",
    "bufio", "concurrent_futures", "context", "contextlib", "contextlib_async", "crossinterp", "decimal", "docxmlrpc",
    "eintr", "epoll", "external_inspection", "faulthandler", "fcntl", "file", "file_eintr", "fileio", "fork1", "ftplib",
    "functools", "gc", "hashlib", "httplib", "httpservers", "imaplib", "importlib.test_locks",
    "importlib.test_threaded_import", "interpreters", "io", "largefile", "lazy_import", "logging", "memoryio", "monitoring",
    "multiprocessing_fork", "multiprocessing_forkserver", "multiprocessing_main_handling", "multiprocessing_spawn",
    "nntplib", "os", "poll", "popen", "poplib", "posix", "pty", "queue", "remote_pdb", "robotparser", "sched", "select",
    "selectors", "signal", "smtpd", "smtplib", "socket", "socketserver", "sqlite3", "ssl", "subprocess", "sys",
    "sys_setprofile", "sys_settrace", "telnetlib", "tempfile", "thread", "thread_local_bytecode", "threadedtempfile",
    "threading", "threading_local", "threadsignals", "time", "timeout", "univnewlines", "urllib", "urllib2",
    "urllib2_localnet", "urllib2net", "urllib_response", "urllibnet", "wait3", "wait4", "weakref", "wsgiref", "xmlrpc",
)  # fmt: skip

# where a later Python has the tests of a module that is gone
MOVED = {
    "bufio": "io.test_bufferedio", "file": "io.test_file", "fileio": "io.test_fileio", "largefile": "io.test_largefile",
    "memoryio": "io.test_memoryio", "posix": "os.test_posix", "univnewlines": "io.test_univnewlines",
}  # fmt: skip

# they hardly touch a patch: shares are given with and without them
DISTANT = (
    "test_decimal", "test_context", "test_contextlib", "test_contextlib_async", "test_functools", "test_hashlib",
    "test_asyncio.test_tasks", "test_smtpd", "test_robotparser", "test_gc", "test_weakref", "test_memoryio",
    "test_io.test_memoryio",
)  # fmt: skip

# every test of these must pass
NEAR = (
    "test_socket", "test_ssl", "test_timeout", "test_threading_local", "test_queue", "test_select", "test_poll", "test_epoll",
    "test_selectors", "test_socketserver", "test_httpservers", "test_httplib", "test_subprocess", "test_concurrent_futures",
    "test_importlib", "test_asyncio",
)  # fmt: skip

# nearest to us, and quick: for every change
FAST = (
    "asyncio.test_locks", "asyncio.test_runners", "asyncio.test_server", "asyncio.test_sock_lowlevel",
    "asyncio.test_streams", "asyncio.test_threads", "docxmlrpc", "epoll", "fork1", "httplib", "httpservers",
    "importlib.test_locks", "poll", "popen", "pty", "queue", "sched", "select", "selectors", "socketserver", "telnetlib",
    "thread", "threadedtempfile", "threading", "threading_local", "threadsignals", "timeout", "urllib2_localnet", "wait3",
    "wait4", "wsgiref", "xmlrpc",
)  # fmt: skip

_LOOK = """
import importlib.util, json, os, sys
names, moved = map(json.loads, sys.argv[1:])
found = {}

def look(name):
    try:
        return importlib.util.find_spec("test.test_" + name)
    except ModuleNotFoundError:
        return None

for name in names:
    spec = look(name)
    if spec is None:
        found[name] = ["test_" + moved[name]] if name in moved and look(moved[name]) else []
    elif spec.submodule_search_locations:
        files = sorted(os.listdir(list(spec.submodule_search_locations)[0]))
        found[name] = [f"test_{name}.{file[:-3]}" for file in files if file.startswith("test_") and file.endswith(".py")]
        found[name] = found[name] or ["test_" + name]  # all in its __init__
    else:
        found[name] = ["test_" + name]
print(json.dumps([sys.version.split()[0], found]))
"""


class Found(NamedTuple):
    """What an interpreter has."""

    version: str
    modules: list[str]  # without the leading "test."
    missing: list[str]


def find(python: str, names: tuple[str, ...] = MODULES) -> Found:
    """The test modules of `python`: a package stands for the modules in it, a name that moved for the new one.

    Names as in `MODULES`, "test_" allowed; ValueError for one that is not in the table.
    """
    names = tuple(name.removeprefix("test.").removeprefix("test_") for name in names)
    for name in names:
        if name not in MODULES and not any(name.startswith(f"{known}.") for known in MODULES):
            raise ValueError(f"no module {name!r} in the table; there are: {', '.join(MODULES)}")
    command = [python, "-c", _LOOK, json.dumps(names), json.dumps(MOVED)]
    version, found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return Found(
        version,
        list(dict.fromkeys(module for name in names for module in found[name])),
        [f"test_{name}" for name in names if not found[name]],
    )


def has(python: str, package: str) -> bool:
    """Whether an interpreter has a package."""
    return subprocess.run([python, "-c", f"import {package}"], capture_output=True).returncode == 0
