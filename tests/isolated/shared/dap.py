"""A client of a debugger, as an editor is one: the debug adapter protocol over a socket of the loopback."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import debugpy

_SECONDS = 15  # until a debugger that says nothing counts as hung
_given = []
_ENVIRON = {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}


def _free_address():
    while True:
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = free.getsockname()
        if address not in _given:  # several may begin at once
            _given.append(address)
            return address


class Debugger:
    """A program under a debugger, and the connection to it."""

    def __init__(self, arguments, ready, pass_fds=()):
        self.child = subprocess.Popen(
            [sys.executable, "-Xfrozen_modules=off", *arguments], stdin=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, **_ENVIRON}, pass_fds=pass_fds,
        )  # fmt: skip
        self._socket = ready()
        self._socket.settimeout(_SECONDS)
        self._file = self._socket.makefile("rb")
        self._numbers = itertools.count(1)
        self._events, self._answers = [], {}

    @classmethod
    def as_vscode(cls, *program):
        """debugpy starts the program, and waits for a client."""
        address = _free_address()

        def connect():
            end = time.monotonic() + _SECONDS
            while True:
                try:
                    return socket.create_connection(address)
                except ConnectionRefusedError:
                    assert time.monotonic() < end
                    time.sleep(0.02)

        return cls(["-m", "debugpy", "--listen", f"127.0.0.1:{address[1]}", "--wait-for-client", *program], connect)

    @classmethod
    def attached(cls, *program):
        """The program runs, has debugpy listen, and writes the port to the descriptor that it is told in the place of TELL."""
        reader, writer = os.pipe()

        def connect():
            os.close(writer)
            with open(reader) as told:
                return socket.create_connection(("127.0.0.1", int(told.readline())))

        return cls([str(writer) if word == "TELL" else word for word in program], connect, (writer,))

    @classmethod
    def as_pycharm(cls, *program):
        """pydevd itself starts the program, and connects to its client."""
        script = Path(debugpy.__file__).parent / "_vendored" / "pydevd" / "pydevd.py"
        module = ["--module"] if program[0] == "-m" else []
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(_SECONDS)
        arguments = ["--client", "127.0.0.1", "--port", str(listener.getsockname()[1]), "--json-dap-http", *module, "--file"]

        def accept():
            with listener:
                return listener.accept()[0]

        return cls([str(script), *arguments, *program[len(module) :]], accept)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()
        self._socket.close()
        try:
            os.killpg(self.child.pid, signal.SIGKILL)  # its session: the adapter, too
        except ProcessLookupError:
            pass
        self.child.wait()

    def send(self, command, **arguments):
        seq = next(self._numbers)
        data = json.dumps({"seq": seq, "type": "request", "command": command, "arguments": arguments}).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(data), data))
        return seq

    def _read(self):
        length = 0
        while (line := self._file.readline()) != b"\r\n":
            if not line:
                raise EOFError("the debugger is gone")
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        message = json.loads(self._file.read(length))
        if message["type"] == "event":
            self._events.append(message)
        elif message["type"] == "response":
            self._answers[message["request_seq"]] = message

    def answer(self, seq):
        while seq not in self._answers:
            self._read()
        answer = self._answers.pop(seq)
        assert answer["success"], answer
        return answer.get("body")

    def ask(self, command, **arguments):
        return self.answer(self.send(command, **arguments))

    def event(self, name):
        while True:
            for event in self._events:
                if event["event"] == name:
                    self._events.remove(event)
                    return event.get("body")
            self._read()

    def begin(self, path, lines):
        """Have the program run, with breakpoints at these lines of it."""
        self.ask("initialize", adapterID="test", linesStartAt1=True, columnsStartAt1=True, pathFormat="path")
        attached = self.send("attach", justMyCode=False)
        self.event("initialized")
        self.breakpoints(path, lines)
        self.ask("configurationDone")
        self.answer(attached)

    def breakpoints(self, path, lines):
        wanted = [{"line": line} for line in lines]
        set_ones = self.ask("setBreakpoints", source={"path": path}, breakpoints=wanted)["breakpoints"]
        assert all(one["verified"] for one in set_ones)

    def frames(self, thread):
        return self.ask("stackTrace", threadId=thread)["stackFrames"]
