"""The backup server as a peer: stopping, notifying, and refusing what breaks the protocol."""

from __future__ import annotations

import hashlib
import os
import signal
import struct
import time

import pytest
from backup_rig import Rig, at_end, finish, frame, receive, wait_until


def test_sigterm_finishes_the_running_request(rig: Rig) -> None:
    server = rig.serve()
    idle = rig.log_in()
    busy = rig.log_in()
    data = os.urandom(300_000)
    digest = hashlib.sha256(data).digest()
    request = frame({"op": "put", "count": 1}, struct.pack(">32sI", digest, len(data)) + data)
    busy.sendall(request[:100_000])
    time.sleep(0.3)
    server.send_signal(signal.SIGTERM)
    assert at_end(idle), "an idle connection is closed"
    assert server.poll() is None
    busy.sendall(request[100_000:])
    assert receive(busy)[0] == {"ok": True, "stored": 1}
    assert at_end(busy)
    assert finish(server).code == 0
    with pytest.raises(ConnectionRefusedError):
        rig.connect()
    rig.serve()
    sock = rig.log_in()
    sock.sendall(frame({"op": "have"}, digest))
    assert receive(sock)[1] == b"\1", "what was acknowledged is there"


def test_listeners_acknowledge(rig: Rig) -> None:
    server = rig.serve()
    listener = rig.start("listen", "--connections", "50", "--name", "fleet")
    wait = ["--expect", "50", "--wait-seconds", "20"]
    for number, kind in enumerate(["start", "policy-changed", "cancel"], start=1):
        facts = rig.ok("broadcast", kind, "--detail", '{"days": 3}', *wait)
        assert (facts["event"], facts["sent"], facts["acknowledged"]) == (number, 50, 50)
        assert facts["missing"] == []
    listener.send_signal(signal.SIGTERM)
    result = finish(listener)
    assert result.code == 0, result
    assert (result.facts["events"], result.facts["acknowledged"]) == (3, 150)
    rig.stop(server)


def test_listeners_come_back_and_the_dumb_are_named(rig: Rig) -> None:
    server = rig.serve()
    listener = rig.start("listen", "--connections", "5", "--events", "1")
    wait_until(lambda: rig.subscribers() == 5, "five are connected")
    rig.stop(server)
    rig.serve()
    dumb = rig.log_in()
    dumb.sendall(frame({"op": "subscribe"}))
    assert receive(dumb)[0] == {"ok": True}
    wait_until(lambda: rig.subscribers() == 6, "they are connected again")
    result = rig.client("broadcast", "cancel", "--expect", "6", "--wait-seconds", "1")
    assert result.code == 1, result
    assert (result.facts["sent"], result.facts["acknowledged"]) == (6, 5)
    assert result.facts["missing"] == ["tester"]
    facts = finish(listener).facts
    assert facts["reconnects"] >= 5 and facts["acknowledged"] == 5


def test_misbehaving_peers_are_refused(rig: Rig) -> None:
    rig.serve()
    too_large = struct.pack(">2sBBII", b"BK", 1, 0, 10, 9 << 20)
    before_login = struct.pack(">2sBBII", b"BK", 1, 0, 5000, 0)
    login = frame({"op": "login", "client": "x", "nonce": "y", "proof": "z"}, version=9)
    garbage = struct.pack(">2sBBII", b"BK", 1, 0, 3, 0) + b"{]}"
    for logged_in, raw, code in [
        (True, too_large, "too-large"),
        (False, before_login, "too-large"),
        (False, login, "bad-version"),
        (True, frame({"op": "stats"}, version=0), "bad-version"),
        (False, b"GET / HTTP/1.1\r\n\r\n", "bad-frame"),
        (True, garbage, "bad-frame"),
        (False, frame({"op": "stats"}), "bad-request"),
    ]:
        with rig.log_in() if logged_in else rig.connect() as sock:
            if not logged_in:
                receive(sock)
            sock.sendall(raw)
            answer = receive(sock)[0]
            assert (answer["ok"], answer["code"]) == (False, code), (raw, answer)
            assert at_end(sock)


def test_bad_requests_leave_the_connection_usable(rig: Rig) -> None:
    rig.serve()
    liar = struct.pack(">32sI", bytes(32), 4) + b"data"
    with rig.log_in() as sock:
        for request in [
            frame({"op": "format-disk"}),
            frame({"op": "put", "count": 1}, liar),
            frame({"op": "put", "count": 5}, liar),
            frame({"op": "put", "count": "5"}, liar),
            frame({"op": "have"}, b"short"),
            frame({"op": "entries", "snapshot": 1, "entries": [{"path": 3}]}),
            frame({"op": "begin", "key": "k", "name": "n", "root": "!", "chunk_size": 1}),
            frame({"op": "broadcast", "kind": "dance", "wait_seconds": 1}),
        ]:
            sock.sendall(request)
            answer = receive(sock)[0]
            assert (answer["ok"], answer["code"]) == (False, "bad-request"), (request, answer)
        sock.sendall(frame({"op": "stats"}))
        assert receive(sock)[0] == {"ok": True, "subscribers": 0, "chunks": 0, "bytes": 0}
