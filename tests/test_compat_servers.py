"""The servers of other projects' suites: started, found ready, and stopped whatever happens."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from compat import servers
from compat.servers import SERVERS, Server, ServerFailed, missing, running

SERVER = """
import os, socket, subprocess, sys, time
folder, port = sys.argv[1], int(sys.argv[2])
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open(folder + "/pids", "w").write("%d %d" % (os.getpid(), helper.pid))
print("here I am", flush=True)
time.sleep(0.2)
with socket.create_server(("127.0.0.1", port)) as server:
    while True:
        sock, _ = server.accept()
        with sock:
            sock.sendall(b"hello " + sock.recv(9))
"""
PYTHON = sys.executable


def _server(program: str = SERVER, **changes: object) -> Server:
    server = Server("a-package", "nobody", (PYTHON, "-c", program, "{folder}", "{port}"), b"you", b"hello you")
    return server._replace(**changes)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> dict[str, Server]:
    """The table of servers, for a test to fill."""
    found: dict[str, Server] = {}
    monkeypatch.setattr(servers, "SERVERS", found)
    monkeypatch.setattr(servers, "_user", lambda name: servers.pwd.getpwuid(os.getuid()))  # another may not read this Python
    return found


def _gone(pid: int) -> bool:
    """Whether a process has ended; not always reaped, where nobody does it."""
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
            os.kill(pid, 0)
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False


def test_a_server_is_ready_when_it_is_there_and_gone_afterwards(table: dict[str, Server], tmp_path: Path) -> None:
    write = "import sys; open(sys.argv[1] + '/order', 'a').write(sys.argv[2])"
    table["one"] = _server(
        prepare=((PYTHON, "-c", write, "{folder}", "before "),),
        after=((PYTHON, "-c", write, "{folder}", "after {other}"),),
        ports=("other",),
        files={"settings": "port = {port}"},
    )
    with running("one", tmp_path) as facts:
        assert (tmp_path / "settings").read_text() == f"port = {facts['port']}"
        assert (tmp_path / "order").read_text() == f"before after {facts['other']}"
        pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2 and all(map(_gone, pids)), "the process that it started is to end too"


def test_a_server_is_stopped_when_a_suite_fails(table: dict[str, Server], tmp_path: Path) -> None:
    table["one"] = _server(beside=((PYTHON, "-c", "import time; time.sleep(60)"),))
    with pytest.raises(KeyError):
        with running("one", tmp_path):
            pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
            raise KeyError
    assert all(map(_gone, pids))


def test_a_server_that_does_not_listen_to_its_signal_is_killed(
    table: dict[str, Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "STOP_SECONDS", 0.1)
    table["one"] = _server("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" + SERVER)
    with running("one", tmp_path):
        pid = int((tmp_path / "pids").read_text().split()[0])
        os.kill(pid, signal.SIGTERM)
        assert not Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].startswith(" Z")
    assert _gone(pid)


@pytest.mark.parametrize(
    ("server", "complaint"),
    [
        (_server("print('no room'); raise SystemExit(3)"), r"exit code 3\nno room"),
        (_server("import time; print('asleep', flush=True); time.sleep(60)"), r"accepted no connection within 1 s\nasleep"),
        (_server(answers=b"hello nobody"), r"accepted no connection within 1 s\nhere I am"),
        (_server(prepare=((PYTHON, "-c", "print('full'); raise SystemExit(4)"),)), r"exit code 4\nfull"),
        (_server(after=((PYTHON, "-c", "import time; time.sleep(60)"),)), r"did not end within 1 s"),
    ],
)
def test_a_server_that_does_not_start_says_why(
    server: Server, complaint: str, table: dict[str, Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "START_SECONDS", 1.0)
    table["one"] = server
    with pytest.raises(ServerFailed, match=complaint):
        with running("one", tmp_path):
            pass
    if (tmp_path / "pids").exists():
        assert all(_gone(int(pid)) for pid in (tmp_path / "pids").read_text().split())


def test_what_is_missing_is_named(table: dict[str, Server], tmp_path: Path) -> None:
    assert missing("") == ""
    table["one"] = _server()
    assert missing("one") == ""
    table["one"] = _server(beside=(("no-such-program",),))
    assert missing("one") == "no-such-program is missing; run: apt-get install a-package"
    with pytest.raises(ValueError, match="no server 'two'; there are: one"):
        missing("two")
    with running("", tmp_path) as facts:
        assert facts == {}


@pytest.mark.parametrize("name", SERVERS)
def test_a_real_server_starts(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    if lack := missing(name):
        pytest.skip(lack)
    with running(name, tmp_path_factory.mktemp("server")) as facts:
        assert servers._answers(int(facts["port"]), SERVERS[name])
