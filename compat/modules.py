"""Which modules of the interpreter's own ``test`` package are run: those that threads, sockets, processes and loops touch."""

from __future__ import annotations

import json
import subprocess
from typing import NamedTuple

__all__ = ["DISTANT", "FAST", "NEAR", "Found", "find", "has"]

ASYNCIO = (
    "base_events", "buffered_proto", "events", "futures", "futures2", "locks", "queues", "runners", "selector_events",
    "server", "sock_lowlevel", "ssl", "sslproto", "streams", "subprocess", "taskgroups", "tasks", "threads", "timeouts",
    "unix_events", "waitfor",
)  # fmt: skip
MODULES = (
    "asynchat", "asyncore", *(f"asyncio.test_{name}" for name in ASYNCIO), "atexit", "concurrent_futures", "context",
    "contextlib", "contextlib_async", "decimal", "docxmlrpc", "epoll", "faulthandler", "fork1", "ftplib", "functools",
    "gc", "hashlib", "httplib", "httpservers", "imaplib", "importlib.test_locks", "importlib.test_threaded_import", "io",
    "logging", "multiprocessing_fork", "multiprocessing_forkserver", "multiprocessing_main_handling",
    "multiprocessing_spawn", "nntplib", "os", "poll", "popen", "poplib", "posix", "pty", "queue", "robotparser", "sched",
    "select", "selectors", "signal", "smtpd", "smtplib", "socket", "socketserver", "sqlite3", "ssl", "subprocess", "sys",
    "sys_settrace", "telnetlib", "tempfile", "thread", "thread_local_bytecode", "threadedtempfile", "threading",
    "threading_local", "threadsignals", "time", "timeout", "urllib", "urllib2", "urllib2_localnet", "urllib2net",
    "urllib_response", "urllibnet", "wait3", "wait4", "weakref", "wsgiref", "xmlrpc",
)  # fmt: skip

# they hardly touch a patch: shares are given with and without them
DISTANT = (
    "test_decimal", "test_context", "test_contextlib", "test_contextlib_async", "test_functools", "test_hashlib",
    "test_asyncio.test_tasks", "test_smtpd", "test_robotparser", "test_gc", "test_weakref",
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
found = {}
for name in json.loads(sys.argv[1]):
    try:
        spec = importlib.util.find_spec("test.test_" + name)
    except ModuleNotFoundError:
        spec = None
    if spec is None:
        found[name] = []
    elif spec.submodule_search_locations:
        files = sorted(os.listdir(list(spec.submodule_search_locations)[0]))
        found[name] = [f"test_{name}.{file[:-3]}" for file in files if file.startswith("test_") and file.endswith(".py")]
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
    """The test modules of `python`: a package stands for the modules in it; names as in `MODULES`, "test_" allowed.

    ValueError for a name that is not in the table.
    """
    names = tuple(name.removeprefix("test.").removeprefix("test_") for name in names)
    for name in names:
        if name not in MODULES and not any(name.startswith(f"{known}.") for known in MODULES):
            raise ValueError(f"no module {name!r} in the table; there are: {', '.join(MODULES)}")
    command = [python, "-c", _LOOK, json.dumps(names)]
    version, found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return Found(
        version,
        [module for name in names for module in found[name]],
        [f"test_{name}" for name in names if not found[name]],
    )


def has(python: str, package: str) -> bool:
    """Whether an interpreter has a package."""
    return subprocess.run([python, "-c", f"import {package}"], capture_output=True).returncode == 0
