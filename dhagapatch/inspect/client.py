"""``python -m dhagapatch top PID`` and ``dump PID``: ask a process what it is doing, over the socket that it has opened."""

from __future__ import annotations

import _socket
import json
import sys
import time
from typing import Any, NoReturn

from dhagapatch._config import fail
from dhagapatch._errors import DhagapatchError
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.inspect.place import usual_path

__all__ = ["Client", "main"]

_TAKES = {"top": "PID [--once] [--interval S]", "dump": "PID [--json]"}
_LONGEST = 86400  # seconds
_PATIENCE = 30.0  # seconds
_BETWEEN = 0.5  # seconds between the two looks of --once


class Client:
    """A connection to a process; a DhagapatchError if there is none to be had."""

    def __init__(self, target: str) -> None:
        self.path = usual_path(int(target)) if target.isascii() and target.isdigit() else target
        self._rest = b""
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self._socket.settimeout(_PATIENCE)
        try:
            self._socket.connect(self.path)
        except OSError as error:
            self._socket.close()
            raise DhagapatchError(
                f"nothing listens at {self.path} ({error.strerror or error}): start the program with "
                "python -m dhagapatch --inspect, or set DHAGAPATCH_INSPECT=1"
            ) from None

    def ask(self, what: str) -> dict[str, Any]:
        """The answer to one request; a DhagapatchError if the process is gone, or does not answer."""
        try:
            self._socket.sendall(what.encode() + b"\n")
            while b"\n" not in self._rest:
                data = self._socket.recv(1 << 16)
                if not data:
                    raise DhagapatchError("the process has ended")
                self._rest += data
        except OSError as error:
            raise DhagapatchError(f"the process does not answer ({error.strerror or error})") from None
        line, _, self._rest = self._rest.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def _end(text: str) -> NoReturn:
    print(f"python -m dhagapatch: {text}", file=sys.stderr)
    raise SystemExit(1)


def main(argv: list[str]) -> None:
    """`argv` begins with the command."""
    command, *words = argv
    options = {"top": ("--once", "--interval"), "dump": ("--json",)}[command]
    target, given, interval = "", set(), 1.0
    while words:
        word = words.pop(0)
        if word == "--interval" and word in options:
            interval = _seconds(words.pop(0) if words else "")
        elif word in options:
            given.add(word)
        elif word.startswith("-") or target:
            fail(f"{word!r} is nothing that {command} takes: {_TAKES[command]}")
        else:
            target = word
    if not target:
        fail(f"{command} needs the PID of a process that was started with --inspect, or the path of its socket")
    try:
        client = Client(target)
        if command == "dump":
            answer = client.ask("dump")
            print(json.dumps(answer["dump"], indent=2) if "--json" in given else answer["text"])
        else:
            _top(client, "--once" in given, interval)
    except DhagapatchError as error:
        _end(str(error))
    except KeyboardInterrupt:
        pass


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _LONGEST:
        fail("--interval needs seconds, more than 0, 1 say" + (f"; got {text!r}" if text else ""))
    return seconds


def _top(client: Client, once: bool, interval: float) -> None:
    try:
        from rich.console import Console
        from rich.live import Live
    except ImportError:
        _end("top needs rich: pip install dhagapatch[top]; dump does without")
    from dhagapatch.inspect.view import view

    before = client.ask("stats")
    if once:
        time.sleep(_BETWEEN)
        Console().print(view(before, client.ask("stats")))
        return
    with Live(auto_refresh=False, screen=True) as live:
        while True:
            now = client.ask("stats")
            live.update(view(before, now), refresh=True)
            before = now
            time.sleep(interval)
