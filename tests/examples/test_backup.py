"""The backup example end to end: what is backed up, restored, reported and survived.

Each test runs once for each entry of `backup_rig.LAUNCHERS`.
"""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import signal
import socket
import sqlite3
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

from backup_rig import (
    EXAMPLE,
    MIB,
    SECONDS,
    Rig,
    failing,
    finish,
    picture,
    random_file,
    wait_until,
)


def test_odd_tree_survives(rig: Rig, tree: Path, tmp_path: Path) -> None:
    """Names, links, modes and times come back as they were; a second backup sends nothing."""
    root = os.fsencode(tree)
    for number, name in enumerate([b"\xff\xfe.bin", b"new\nline", b"-x", b" ", b"\xc3\xa9 \\"]):
        with open(os.path.join(root, name), "wb") as file:
            file.write(b"%d" % number)
        os.utime(os.path.join(root, name), ns=(0, 1_000_000_000_123_456_789 + number))
    (tree / "empty").touch()
    (tree / "empty directory").mkdir()
    data = random_file(tree / "large", 2 * MIB + 17)
    (tree / "same").write_bytes(data)
    (tree / "deep").mkdir()
    (tree / "deep" / "er").mkdir(mode=0o700)
    (tree / "deep" / "er" / "file").write_text("contents")
    (tree / "deep" / "link").symlink_to("er/file")
    (tree / "dangling").symlink_to(b"/nowhere/\xff".decode("utf-8", "surrogateescape"))
    (tree / "loop").symlink_to(".")
    for mode in (0o400, 0o755, 0o4711, 0o1777, 0o606):
        (tree / f"mode-{mode:o}").write_text(f"{mode}")
        (tree / f"mode-{mode:o}").chmod(mode)
    os.utime(tree / "empty", ns=(0, -1_500_000_000))
    os.utime(tree / "dangling", ns=(0, 42_000_000_001), follow_symlinks=False)
    (tree / "deep" / "er").chmod(0o500)
    os.utime(tree / "deep", ns=(0, 7_000_000_007))
    tree.chmod(0o751)

    rig.serve()
    facts = rig.ok("backup", str(tree))
    assert facts["problems"] == []
    assert facts["links"] == 3
    rig.ok("restore", "--into", str(tmp_path / "out"))
    assert picture(os.fsencode(tmp_path / "out")) == picture(root)
    again = rig.ok("backup", str(tree))
    assert again["chunks_sent"] == 0 and again["bytes"] == facts["bytes"]
    rig.ok("verify")
    listed = rig.ok("list")
    assert [snapshot["files"] for snapshot in listed] == [facts["files"]] * 2


def test_sparse_file_stays_sparse(rig: Rig, tree: Path, tmp_path: Path) -> None:
    with open(tree / "sparse", "wb") as file:
        file.write(b"begin")
        file.seek(100 * MIB - 3)
        file.write(b"end")
    with open(tree / "hole", "wb") as file:
        file.truncate(30 * MIB + 1)
    rig.serve()
    facts = rig.ok("backup", str(tree))
    assert facts["bytes"] == 130 * MIB + 1
    assert facts["bytes_sent"] <= 2 * MIB
    rig.ok("restore", "--into", str(tmp_path / "out"))
    assert picture(os.fsencode(tmp_path / "out")) == picture(os.fsencode(tree))
    for name in ("sparse", "hole"):
        assert (tmp_path / "out" / name).stat().st_blocks * 512 <= 4 * MIB


def test_growing_file_is_kept_as_it_was_when_opened(rig: Rig, tree: Path, tmp_path: Path) -> None:
    random_file(tree / "log", 6 * MIB)
    rig.serve()
    client = rig.start("backup", str(tree), "--limit-rate", str(8 * MIB))
    with open(tree / "log", "ab") as file:
        while client.poll() is None:
            file.write(b"one more line\n")
            file.flush()
            time.sleep(0.01)
    result = finish(client)
    assert result.code == 0, result
    assert any("changed: log" in problem for problem in result.facts["problems"])
    rig.ok("restore", "--into", str(tmp_path / "out"))
    kept, now = (tmp_path / "out" / "log").read_bytes(), (tree / "log").read_bytes()
    assert 6 * MIB <= len(kept) < len(now)
    assert now.startswith(kept)


def test_vanishing_files_are_reported_and_passed_over(
    rig: Rig, tree: Path, tmp_path: Path
) -> None:
    random_file(tree / "a", 4 * MIB)
    for name in "bcdefgh":
        random_file(tree / name, MIB + 1)
    (tree / "y").mkdir()
    (tree / "y" / "inner").touch()
    (tree / "z").touch()
    rig.serve()
    slow = ["--threads", "1", "--limit-rate", str(12 * MIB)]
    client = rig.start("backup", str(tree), *slow)
    wait_until(lambda: rig.stored() > 0, "the backup has begun")
    (tree / "z").unlink()
    (tree / "h").unlink()
    (tree / "y" / "inner").unlink()
    (tree / "y").rmdir()
    result = finish(client)
    assert result.code == 0, result
    gone = sorted(problem.split(": ")[1] for problem in result.facts["problems"])
    assert set(gone) >= {"h", "z"}
    assert all(problem.startswith("vanished: ") for problem in result.facts["problems"])
    rig.ok("restore", "--into", str(tmp_path / "out"))
    assert (tmp_path / "out" / "g").read_bytes() == (tree / "g").read_bytes()
    assert not (tmp_path / "out" / "z").exists()


def test_unreadable_and_special_files_are_reported(rig: Rig, tree: Path, tmp_path: Path) -> None:
    (tree / "good").write_text("good")
    (tree / "secret").write_text("secret")
    (tree / "secret").chmod(0)
    (tree / "closed").mkdir()
    (tree / "closed" / "inside").write_text("inside")
    (tree / "closed").chmod(0)
    os.mkfifo(tree / "pipe")
    with socket.socket(socket.AF_UNIX) as unix:
        here = os.getcwd()
        os.chdir(tree)  # a socket's path may have some 100 bytes only
        try:
            unix.bind("socket")
        finally:
            os.chdir(here)
    rig.serve()
    result = rig.client("backup", str(tree), drop=True)
    (tree / "closed").chmod(0o700)
    assert result.code == 1, result
    for line in ("unreadable: secret", "unreadable: closed", "special: pipe", "special: socket"):
        assert line in result.errors
    rig.ok("restore", "--into", str(tmp_path / "out"))
    out = tmp_path / "out"
    assert (out / "good").read_text() == "good"
    assert sorted(path.name for path in out.iterdir()) == ["closed", "good"]


def test_full_store_loses_nothing(rig: Rig, tree: Path, tmp_path: Path) -> None:
    (tree / "small").write_text("small")
    server = rig.serve("--quota-bytes", str(3 * MIB))
    rig.ok("backup", str(tree))
    random_file(tree / "large", 5 * MIB)
    result = rig.client("backup", str(tree))
    assert result.code == 5, result
    assert "the store is full" in result.errors and "--quota-bytes" in result.errors
    rig.ok("restore", "--into", str(tmp_path / "old"))
    assert (tmp_path / "old" / "small").read_text() == "small"
    rig.stop(server)
    rig.serve("--quota-bytes", str(8 * MIB))
    facts = rig.ok("backup", str(tree))
    assert facts["chunks_reused"] >= 1
    rig.ok("restore", "--into", str(tmp_path / "new"))
    assert picture(os.fsencode(tmp_path / "new")) == picture(os.fsencode(tree))


def test_full_disk_loses_nothing(rig: Rig, tree: Path) -> None:
    """A file size limit stands in for the disk: a write fails in the middle of a segment."""
    (tree / "small").write_text("small")
    server = rig.serve()
    rig.ok("backup", str(tree))
    random_file(tree / "large", 3 * MIB)
    limits = resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
    result = rig.client("backup", str(tree))
    assert result.code == 5, result
    assert "the store is full" in result.errors
    assert not list((rig.store / "tmp").iterdir())
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, limits)
    rig.ok("verify", "--snapshot", "1")
    rig.ok("backup", str(tree))
    rig.ok("verify")


def test_wrong_token_and_unknown_certificate(rig: Rig, tree: Path) -> None:
    rig.serve()
    started = time.monotonic()
    stranger = rig.start("backup", str(tree), "--token-file", str(rig.keys / "wrong-token"))
    doubter = rig.start("list", "--cafile", str(rig.keys / "other-ca.pem"))
    assert "wrong token" in failing(stranger, 3)
    assert "certificate does not verify" in failing(doubter, 3)
    assert time.monotonic() - started < 15, "authentication is not retried"
    assert rig.ok("list") == []


def test_corrupted_chunk_is_named_and_replaced(rig: Rig, tree: Path, tmp_path: Path) -> None:
    (tree / "bad").write_bytes(b"a chunk that will be damaged")
    (tree / "good").write_bytes(b"another one")
    digest = hashlib.sha256((tree / "bad").read_bytes()).hexdigest()
    rig.serve()
    rig.ok("backup", str(tree))
    for segment in rig.store.glob("segments/*/*.seg"):
        segment.write_bytes(segment.read_bytes().replace(b"will be", b"WILL BE"))
    commands = [["verify"], ["restore", "--into", str(tmp_path / "out")]]
    for client in [rig.start(*command) for command in commands]:
        errors = failing(client, 1)
        assert "damaged: bad:" in errors and f"{digest}, is corrupt" in errors
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good"]
    assert rig.ok("backup", str(tree))["chunks_sent"] == 1
    rig.ok("verify", "--snapshot", "1")


def test_missing_segment_is_named(rig: Rig, tree: Path, tmp_path: Path) -> None:
    (tree / "file").write_bytes(b"contents")
    server = rig.serve()
    rig.ok("backup", str(tree))
    rig.stop(server)
    shutil.rmtree(rig.store / "segments")
    rig.serve()
    commands = [["verify"], ["restore", "--into", str(tmp_path / "out")]]
    for client in [rig.start(*command) for command in commands]:
        errors = failing(client, 1)
        assert "damaged: file:" in errors and "is missing" in errors


def test_forged_catalogue_is_refused(rig: Rig, tree: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tree / "dir").mkdir()
    (tree / "link").symlink_to(outside)
    (tree / "file").write_text("evil")
    rig.serve()
    rig.ok("backup", str(tree))
    absolute = os.fsencode(outside / "evil")
    forgeries = [b"../evil", b"dir/../../evil", b"link/evil", absolute]
    catalog = sqlite3.connect(rig.store / "catalog.sqlite", timeout=SECONDS)
    with catalog:
        for number, forged in enumerate(forgeries, start=2):
            catalog.execute(
                "INSERT INTO snapshots SELECT ?, ?, name, root, chunk_size, started, completed, "
                "files, bytes FROM snapshots WHERE id = 1",
                (number, f"forged-{number}"),
            )
            catalog.execute(
                "INSERT INTO entries SELECT ?, iif(path = ?, ?, path), kind, mode, mtime_ns, "
                "size, target, chunks FROM entries WHERE snapshot = 1",
                (number, b"file", forged),
            )
    catalog.close()
    into = str(tmp_path / "out" / "into")
    numbers = [str(number) for number in range(2, 2 + len(forgeries))]
    clients = [rig.start("restore", "--into", into, "--snapshot", n) for n in numbers]
    for client in clients:
        errors = failing(client, 7)
        assert "refusing to restore" in errors and "evil" in errors
    assert not (tmp_path / "out").exists(), "something was written"
    assert list(outside.iterdir()) == []


HOSTILE_UNIT = """
    import sys
    sys.path.insert(0, {example!r})
    from errors import HostileManifestError
    from manifest import Entry
    from progress import Progress
    from restorer import Restore
    from snapshots import Manifest

    entries = {{
        "nul": [Entry(b"a\\0b", "file", 0o600, 0)],
        "twice": [Entry(b"a", "link", 0o777, 0, target=b"/"), Entry(b"a", "dir", 0o700, 0)],
        "dot": [Entry(b"./a", "file", 0o600, 0)],
        "root": [Entry(b".", "link", 0o777, 0, target=b"/tmp")],
        "slash": [Entry(b"a/", "dir", 0o700, 0)],
        "empty": [Entry(b"", "dir", 0o700, 0)],
        "parent": [Entry(b"..", "dir", 0o700, 0)],
        "orphan": [Entry(b"a/b", "file", 0o600, 0)],
        "kind": [Entry(b"a", "device", 0o600, 0)],
        "size": [Entry(b"a", "file", 0o600, 0, size=5)],
        "negative": [Entry(b"a", "file", 0o600, 0, size=-5)],
    }}
    accepted = []
    for name, hostile in entries.items():
        restore = Restore(None, "unit", {into!r}, 1, Progress())
        try:
            restore.run(Manifest(1, hostile, 1 << 20))
        except HostileManifestError:
            continue
        accepted.append(name)
    sys.exit(f"accepted: {{accepted}}" if accepted else 0)
"""


def test_restore_refuses_hostile_entries(rig: Rig, tmp_path: Path) -> None:
    into = os.fsencode(tmp_path / "into")
    script = tmp_path / "unit.py"
    script.write_text(textwrap.dedent(HOSTILE_UNIT).format(example=str(EXAMPLE), into=into))
    result = finish(rig.spawn(str(script)))
    assert result.code == 0, result
    assert not (tmp_path / "into").exists()


def test_backup_survives_the_death_of_the_server(rig: Rig, tree: Path, tmp_path: Path) -> None:
    for number in range(24):
        random_file(tree / f"file-{number}", MIB // 2)
    server = rig.serve()
    client = rig.start("backup", str(tree), "--limit-rate", str(16 * MIB), "--threads", "8")
    wait_until(lambda: rig.stored() >= 3 * MIB, "a part is stored")
    assert client.poll() is None
    server.kill()
    assert finish(server).code == -signal.SIGKILL
    assert client.poll() is None
    rig.serve()
    result = finish(client)
    assert result.code == 0, result
    assert result.facts["retries"] > 0
    rig.ok("verify")
    rig.ok("restore", "--into", str(tmp_path / "out"))
    assert picture(os.fsencode(tmp_path / "out")) == picture(os.fsencode(tree))


def test_backup_continues_after_the_death_of_the_client(rig: Rig, tree: Path) -> None:
    for number in range(16):
        random_file(tree / f"file-{number:02d}", MIB)
    rig.serve()
    client = rig.start("backup", str(tree), "--limit-rate", str(16 * MIB), "--threads", "4")
    wait_until(lambda: rig.stored() >= 4 * MIB, "a part is stored")
    client.kill()
    assert finish(client).code == -signal.SIGKILL
    facts = rig.ok("backup", str(tree))
    assert facts["chunks_reused"] >= 4
    assert facts["chunks_reused"] + facts["chunks_sent"] == 16
    states = [snapshot["completed"] is not None for snapshot in rig.ok("list")]
    assert states == [False, True]


def test_interrupted_client_ends_quickly(rig: Rig, tree: Path) -> None:
    for number in range(8):
        random_file(tree / f"file-{number}", MIB)
    rig.serve()
    client = rig.start("backup", str(tree), "--limit-rate", str(MIB))
    wait_until(lambda: rig.stored() > 0, "the backup has begun")
    client.send_signal(signal.SIGINT)
    result = finish(client, 10)
    assert result.code == 130, result
    assert "interrupted" in result.errors


def test_client_gives_up_and_explains(rig: Rig, tree: Path, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        rig.port = closed.getsockname()[1]
        started = time.monotonic()
        result = rig.client("backup", str(tree), "--retry-seconds", "1")
        assert result.code == 4, result
        assert "no answer for 1 s" in result.errors
        assert 1 <= time.monotonic() - started < 8
    rig.port = 0
    rig.serve()
    nowhere = rig.start("backup", str(tree / "nowhere"))
    nothing = rig.start("restore", "--into", str(tmp_path / "out"))
    assert "is not a directory" in failing(nowhere, 2)
    assert "no complete snapshot latest" in failing(nothing, 2)
    (tree / "file").touch()
    rig.ok("backup", str(tree))
    assert "is not empty" in failing(rig.start("restore", "--into", str(tree)), 2)


def test_a_store_has_one_server(rig: Rig) -> None:
    rig.serve()
    result = finish(rig.spawn(*rig.server_command(), "--port", "0"))
    assert result.code == 2, result
    assert "in use by another server" in result.errors


def test_two_clients_at_once(rig: Rig, tree: Path, tmp_path: Path) -> None:
    """Two backups of trees that overlap both complete and restore."""
    other = tmp_path / "other"
    for directory in (tree, other):
        directory.mkdir(exist_ok=True)
        (directory / "own").write_bytes(os.urandom(200_000))
    common = os.urandom(MIB + 5)
    for number in range(40):
        for directory in (tree, other):
            (directory / f"{number}").write_bytes(common[: number * 20_000])
    rig.serve()
    results: dict[Path, Any] = {}

    def backup(directory: Path) -> None:
        results[directory] = finish(rig.start("backup", str(directory)))

    threads = [threading.Thread(target=backup, args=(d,)) for d in (tree, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    restores = {}
    for directory, result in results.items():
        assert result.code == 0, result
        out, snapshot = tmp_path / f"out-{directory.name}", str(result.facts["snapshot"])
        restores[out] = rig.start("restore", "--into", str(out), "--snapshot", snapshot)
    for (out, client), directory in zip(restores.items(), results, strict=True):
        assert finish(client).code == 0
        assert picture(os.fsencode(out)) == picture(os.fsencode(directory))


def test_progress_and_tables_for_people(rig: Rig, tree: Path) -> None:
    (tree / "odd\nname").write_text("contents")
    os.mkfifo(tree / "pi\npe")
    rig.serve()
    for command, sign in [(["backup", str(tree)], "snapshot 1: 1 files"), (["list"], "complete")]:
        client = rig.spawn(str(EXAMPLE / "client.py"), *command, *rig.credentials())
        output, errors = client.communicate(timeout=SECONDS)
        assert client.returncode == 0, errors
        assert sign in output
        if command[0] == "backup":
            assert "backup" in errors and "8/8 bytes" in errors
            assert "special: pi\\npe:" in errors, "one line for each problem"
