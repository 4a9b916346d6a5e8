"""Servers for the suites that need one: started on a free port of the loopback, in a folder of their own, always stopped.

They are Debian's packages.  Those that refuse to run as root run as their package's user if root starts them, and that
user owns the folder.  Each is killed by the kernel if the runner dies without a chance to stop it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

__all__ = ["SERVERS", "Server", "ServerFailed", "free_ports", "missing", "running", "start"]

FOLDERS = ("/usr/sbin", "/usr/lib/rabbitmq/bin", "/usr/lib/postgresql/*/bin")  # where Debian keeps what is not on the path
START_SECONDS = 90.0
STOP_SECONDS = 20.0
TAIL = 3000  # characters of what it printed
PR_SET_PDEATHSIG = 1


class ServerFailed(Exception):
    """It did not start; the text says what it printed."""


class Server(NamedTuple):
    """How to run one; in all texts `{folder}`, `{user}` and the ports (`{port}` and those of `ports`) are filled in."""

    package: str  # Debian's
    user: str  # who runs it if root starts it; root itself if empty
    command: tuple[str, ...]  # stays in the foreground
    asks: bytes = b""  # sent on a new connection ...
    answers: bytes = b""  # ... is answered with this when it is ready; b"" for anything
    prepare: tuple[tuple[str, ...], ...] = ()  # run to their end beforehand
    beside: tuple[tuple[str, ...], ...] = ()  # other processes that it needs
    after: tuple[tuple[str, ...], ...] = ()  # run to their end when it is ready
    ports: tuple[str, ...] = ()
    files: dict[str, str] = {}  # written into the folder
    environ: dict[str, str] = {}
    stop: signal.Signals = signal.SIGTERM


REDIS = Server(
    "redis-server", "redis",
    (
        "redis-server", "--bind", "127.0.0.1", "--port", "{port}", "--dir", "{folder}", "--save", "",
        "--enable-debug-command", "yes",
    ),
    b"PING\r\n", b"+PONG",
)  # fmt: skip

_STARTUP = b"\0\3\0\0user\0postgres\0database\0postgres\0\0"
_PSQL = ("psql", "-q", "-h", "127.0.0.1", "-p", "{port}", "-U", "postgres", "-c")
POSTGRESQL = Server(
    "postgresql", "postgres",
    (
        "postgres", "-D", "{folder}/data", "-h", "127.0.0.1", "-p", "{port}", "-k", "{folder}", "-c", "fsync=off",
        "-c", "max_prepared_transactions=10", "-c", "wal_level=logical",
    ),
    (len(_STARTUP) + 4).to_bytes(4, "big") + _STARTUP, b"R",
    prepare=(("initdb", "-D", "{folder}/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"),),
    after=(
        (*_PSQL, "create database test"),
        (*_PSQL, "create extension hstore; create schema test_schema; create schema test_schema_2", "test"),
        (*_PSQL, "create database peewee_test"),
        (*_PSQL, "create extension hstore", "peewee_test"),
    ),
    stop=signal.SIGINT,
)  # fmt: skip

_MYSQL = ("mariadb", "--no-defaults", "-h", "127.0.0.1", "-P", "{port}", "-u", "root", "-e")
MARIADB = Server(
    "mariadb-server", "mysql",
    (
        "mariadbd", "--no-defaults", "--datadir={folder}/data", "--bind-address=127.0.0.1", "--port={port}",
        "--socket={folder}/socket", "--pid-file={folder}/pid", "--local-infile=1", "--plugin-load-add=auth_ed25519",
    ),
    prepare=(
        (
            "mariadb-install-db", "--no-defaults", "--datadir={folder}/data", "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ),
    ),
    after=(
        (*_MYSQL, "create database test1 character set utf8mb4; create database test2 character set utf8mb4"),
        (*_MYSQL, "create function ed25519_password returns string soname 'auth_ed25519.so'"),
        (*_MYSQL, "create user test2@localhost identified by 'some password'; grant all on test2.* to test2@localhost"),
    ),
)  # fmt: skip

RABBITMQ = Server(
    "rabbitmq-server", "rabbitmq", ("rabbitmq-server",), b"AMQP\0\0\x09\x01", b"\1",
    beside=(("epmd", "-address", "127.0.0.1", "-port", "{epmd}"),),
    ports=("epmd", "distribution"),
    files={"enabled_plugins": "[].", "rabbitmq-env.conf": "", "rabbitmq.conf": "listeners.tcp.1 = 127.0.0.1:{port}\n"},
    environ={
        "ERL_EPMD_PORT": "{epmd}", "ERL_EPMD_ADDRESS": "127.0.0.1", "RABBITMQ_NODENAME": "compat{port}@localhost",
        "RABBITMQ_DIST_PORT": "{distribution}", "RABBITMQ_MNESIA_BASE": "{folder}/mnesia", "RABBITMQ_LOG_BASE": "{folder}/log",
        "RABBITMQ_ENABLED_PLUGINS_FILE": "{folder}/enabled_plugins", "RABBITMQ_CONF_ENV_FILE": "{folder}/rabbitmq-env.conf",
        "RABBITMQ_CONFIG_FILE": "{folder}/rabbitmq.conf", "RABBITMQ_PID_FILE": "{folder}/pid", "RABBITMQ_ALLOW_INPUT": "1",
        "RABBITMQ_SERVER_START_ARGS": "-noinput",
    },
)  # fmt: skip

SLAPD = Server(
    "slapd", "openldap",
    ("slapd", "-h", "ldap://127.0.0.1:{port}", "-f", "{folder}/slapd.conf", "-d", "0"),
    b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00", b"\x30",  # an anonymous bind
    prepare=(("mkdir", "{folder}/data"), ("slapadd", "-f", "{folder}/slapd.conf", "-l", "{folder}/first.ldif")),
    files={
        "slapd.conf": (
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n"
            "include /etc/ldap/schema/inetorgperson.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n"
            "pidfile {folder}/pid\nargsfile {folder}/args\ndatabase mdb\nsuffix o=test\nrootdn cn=admin,o=test\nrootpw password\n"
            "directory {folder}/data\naccess to * by * write\n"
        ),
        "first.ldif": (
            "dn: o=test\nobjectClass: organization\no: test\n\n"
            "dn: ou=fixtures,o=test\nobjectClass: organizationalUnit\nou: fixtures\n\n"
            "dn: ou=moved,o=test\nobjectClass: organizationalUnit\nou: moved\n"
        ),
    },
)  # fmt: skip

SERVERS = {"redis": REDIS, "postgresql": POSTGRESQL, "mariadb": MARIADB, "rabbitmq": RABBITMQ, "slapd": SLAPD}


def missing(name: str) -> str:
    """What must be installed for a server, or nothing; ValueError for a name that is not known."""
    if not name:
        return ""
    if name not in SERVERS:
        raise ValueError(f"no server {name!r}; there are: {', '.join(SERVERS)}")
    server = SERVERS[name]
    commands = (*server.prepare, *server.beside, server.command, *server.after)
    lacks = sorted({command[0] for command in commands if not _program(command[0])})
    return f"{lacks[0]} is missing; run: apt-get install {server.package}" if lacks else ""


@contextlib.contextmanager
def running(name: str, folder: Path) -> Iterator[dict[str, str]]:
    """A server that accepts connections, with its data in `folder`; yields what `environ` in the table may refer to.

    ServerFailed if it does not start.
    """
    if not name:
        yield {}
        return
    with start(SERVERS[name], folder, os.environ) as facts:
        yield facts


@contextlib.contextmanager
def start(server: Server, folder: Path, variables: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The same for a server that is not in the table, with these environment variables."""
    user = _user(server.user)
    facts = {"folder": str(folder), "host": "127.0.0.1", "user": user.pw_name}
    facts.update(zip(("port", *server.ports), map(str, free_ports(1 + len(server.ports))), strict=True))
    for file, text in server.files.items():
        (folder / file).write_text(text.format_map(facts))
    path = os.pathsep.join([variables.get("PATH", os.defpath), *_folders()])
    environ = {**variables, "HOME": str(folder), "TMPDIR": str(folder), "PATH": path}  # the caller's may not be the user's
    environ.update({key: value.format_map(facts) for key, value in server.environ.items()})
    with open(folder / "printed", "w+b") as printed:
        _hand_over(folder, user)
        there = _Place(folder, user, environ, printed)
        for command in server.prepare:
            there.run(_filled(command, facts))
        with contextlib.ExitStack() as stack:
            for command in server.beside:
                stack.enter_context(there.started(_filled(command, facts), signal.SIGTERM))
            process = stack.enter_context(there.started(_filled(server.command, facts), server.stop))
            there.wait_until_ready(process, int(facts["port"]), server)
            for command in server.after:
                there.run(_filled(command, facts))
            yield facts


def _filled(command: tuple[str, ...], facts: dict[str, str]) -> list[str]:
    program, *arguments = (part.format_map(facts) for part in command)
    return [_program(program), *arguments]


def _folders() -> list[str]:
    return [str(found) for name in FOLDERS for found in sorted(Path("/").glob(name[1:]), reverse=True)]


def _program(name: str) -> str:
    return shutil.which(name, path=os.pathsep.join([*_folders(), os.environ.get("PATH", os.defpath)])) or ""


def _user(name: str) -> pwd.struct_passwd:
    """Who is to run a server; without a name ourselves."""
    if os.getuid() or not name:
        return pwd.getpwuid(os.getuid())
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return pwd.getpwnam("nobody")


def _hand_over(folder: Path, user: pwd.struct_passwd) -> None:
    """Let `user` own the folder, and come to it: a temporary folder lets nobody else through."""
    if user.pw_uid == os.getuid():
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid)
    for parent in folder.parents:
        if parent.is_relative_to(tempfile.gettempdir()) and parent.stat().st_uid == os.getuid():
            parent.chmod(parent.stat().st_mode | 0o011)


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [sock.getsockname()[1] for sock in socks]


class _Place:
    """Where, as whom and with which variables the commands of one server run."""

    def __init__(self, folder: Path, user: pwd.struct_passwd, environ: dict[str, str], printed: object) -> None:
        self._folder = folder
        self._printed = printed
        prctl = ctypes.CDLL(None).prctl if os.uname().sysname == "Linux" else None

        def die_with_the_runner() -> None:
            if prctl is not None:
                prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

        change = {} if user.pw_uid == os.getuid() else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self._options: dict[str, object] = {
            "stdin": subprocess.DEVNULL, "stdout": printed, "stderr": printed, "cwd": folder, "env": environ,
            "start_new_session": True, "preexec_fn": die_with_the_runner, **change,
        }  # fmt: skip

    def run(self, command: list[str]) -> None:
        """To its end."""
        with self.started(command, signal.SIGKILL) as process:
            try:
                code = process.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                raise self._failed(command, f"did not end within {START_SECONDS:.0f} s") from None
        if code:
            raise self._failed(command, f"exit code {code}")

    @contextlib.contextmanager
    def started(self, command: list[str], stop: signal.Signals) -> Iterator[subprocess.Popen[bytes]]:
        """A process that is stopped, and what it started with it, when the block is left."""
        process: subprocess.Popen[bytes] = subprocess.Popen(command, **self._options)  # type: ignore[call-overload]
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(stop)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(STOP_SECONDS)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def wait_until_ready(self, process: subprocess.Popen[bytes], port: int, server: Server) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(port, server):
            if process.poll() is not None:
                raise self._failed(list(server.command), f"exit code {process.returncode}")
            if time.monotonic() > deadline:
                raise self._failed(list(server.command), f"accepted no connection within {START_SECONDS:.0f} s")
            time.sleep(0.05)

    def _failed(self, command: list[str], how: str) -> ServerFailed:
        printed = (self._folder / "printed").read_text("utf-8", "replace")
        return ServerFailed(f"{' '.join(command)}: {how}\n{printed[-TAIL:]}")


def _answers(port: int, server: Server) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as sock:
            sock.sendall(server.asks)
            answer = sock.recv(64)
    except OSError:
        return False
    return answer != b"" and answer.startswith(server.answers)
