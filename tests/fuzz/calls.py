"""Random calls with hostile arguments: ``calls.py SEED STEPS``, natively or patched.

First one thread makes calls whose outcomes are written down, one a line: two runs of a seed must say the same.  Then several make
them at once, while others close, detach, set timeouts, collect, and signals come: that must end, with "done".
"""

from __future__ import annotations

import contextlib
import ctypes  # noqa: F401 - without the compiled part the runtime imports it, and some systems' libffi keeps a file open
import gc
import random
import re
import signal
import socket
import sys
import threading
import time
from typing import Any


class Index:
    """An integer, to who asks."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


class Hostile:
    """Raises whatever it is asked."""

    def __index__(self) -> int:
        raise ZeroDivisionError("index")

    def __float__(self) -> float:
        raise ZeroDivisionError("float")

    def __bool__(self) -> bool:
        raise ZeroDivisionError("bool")

    def __len__(self) -> int:
        raise ZeroDivisionError("len")


class Text(str):
    """A string of another class."""


def values(chance: random.Random) -> Any:
    """A value that hardly any call expects."""
    return chance.choice([
        None, True, False, 0, 1, -1, 3, 2**31, 2**63, -(2**70), 0.0, 0.0005, -0.5, float("nan"), float("inf"), 1e300, "", "text",
        b"", b"data", bytearray(5), bytearray(0), memoryview(b"view"), memoryview(bytearray(8))[::2], [], [b"x"], (), {},
        Index(2), Index(-1), Hostile(), Text("there"), object, socket.MSG_PEEK, socket.MSG_DONTWAIT, ("127.0.0.1", 9),
    ])  # fmt: skip


METHODS = {
    "socket": ("recv", "recv_into", "send", "sendall", "recvfrom", "recvmsg", "recvfrom_into", "recvmsg_into", "sendmsg",
               "settimeout", "gettimeout", "fileno", "setblocking", "getblocking", "shutdown"),
    "lock": ("acquire", "release", "locked", "__enter__", "__exit__"),
    "rlock": ("acquire", "release", "__enter__", "__exit__", "_is_owned"),
    "local": ("__getattribute__", "__setattr__", "__delattr__"),
}  # fmt: skip
BLOCKING = {"recv", "recv_into", "send", "sendall", "recvfrom", "recvmsg", "recvfrom_into", "recvmsg_into", "sendmsg"}
_CHANGES = re.compile(r"0x[0-9a-fA-F]+|owner=\d+|\bfd=\d+|IDENT|\b\d{12,}\b")


_OF_NUMBER = re.compile(r"takes |missing |expected \d|expected at |required argument|\d given|requires at|must be given|keyword")


def told(value: object) -> str:
    return _CHANGES.sub("..", repr(value))[:200]


class Sequence:
    """Calls of one thread, each with its outcome."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.renew()

    def renew(self) -> None:
        self.near, self.far = socket.socketpair()
        for one in (self.near, self.far):
            one.settimeout(0.0005)
        self.things: dict[str, Any] = {"lock": threading.Lock(), "rlock": threading.RLock(), "local": threading.local()}

    def step(self) -> str:
        kind = self.chance.choice(("socket", "socket", "lock", "rlock", "local"))
        name = self.chance.choice(METHODS[kind])
        count = self.chance.choice((0, 1, 1, 1, 2, 2, 3))
        arguments = [values(self.chance) for _ in range(count)]
        if kind == "socket":
            self.things["socket"] = self.chance.choice((self.near, self.far))
            if self.chance.random() < 0.3:
                with contextlib.suppress(OSError):
                    self.things["socket"].send(b"some data"[: self.chance.randrange(1, 9)])
            if name in ("settimeout", "setblocking"):  # what would wait for ever does not
                arguments, name = [0.0005][: len(arguments)], "settimeout"
            if name == "recv" and arguments and isinstance(arguments[0], int) and arguments[0] > 1 << 20:
                arguments[0] = 10
        elif name in ("acquire", "__enter__"):
            arguments = self.bounded(kind, name, arguments)
        thing = self.things[kind]
        try:
            outcome = told(getattr(thing, name)(*arguments))
        except Exception as error:
            text = _CHANGES.sub("..", str(error))[:200]
            odd = sum(type(argument) not in (int, bytes, bytearray) for argument in arguments)
            if odd > 1 or (len(arguments) > 1 and any(type(argument) is Hostile for argument in arguments)):
                return f"{kind}.{name}: one of several errors"  # which of them is told first is the C code's choice
            if type(error) is TypeError and _OF_NUMBER.search(text):
                text = "the number of arguments"  # a function in Python has other words
            outcome = f"!! {type(error).__name__}: {text}; {type(error.__context__).__name__}"
        if self.chance.random() < 0.01:
            self.near.close()
            self.far.close()
            self.renew()
        return f"{kind}.{name}({', '.join(map(told, arguments))}) -> {outcome}"

    def bounded(self, kind: str, name: str, arguments: list[Any]) -> list[Any]:
        """What would wait for ever, by itself, does not."""
        if name != "acquire":
            with contextlib.suppress(RuntimeError):
                self.things[kind].release()
            return arguments[:0] if name == "__enter__" else arguments[:1]
        if kind == "lock":
            waits = [self.chance.choice((True, 1)), self.chance.choice((0, 0.0005))]
            return waits if self.chance.random() < 0.5 else [False, *arguments[:1]]
        return arguments[:2] if len(arguments) != 2 or type(arguments[1]) is not float else [True, 0.0005]


class Storm:
    """Calls of several threads at once."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.pairs: list[tuple[socket.socket, socket.socket]] = []
        self.lock, self.rlock, self.local = threading.Lock(), threading.RLock(), threading.local()
        self.renew()

    def renew(self) -> None:
        pair = socket.socketpair()
        for one in pair:
            one.settimeout(0.001)
        self.pairs.append(pair)

    def work(self, number: int, steps: int) -> None:
        chance = random.Random(self.seed * 100 + number)
        for _ in range(steps):
            with contextlib.suppress(Exception):
                self.act(chance)

    def act(self, chance: random.Random) -> None:
        one = chance.choice(chance.choice(self.pairs[-3:]))
        what = chance.randrange(14)
        if what < 5:
            name = chance.choice(sorted(BLOCKING))
            getattr(one, name)(*[values(chance) for _ in range(chance.choice((1, 1, 1, 2)))])
        elif what == 5:
            one.send(bytes(chance.randrange(1, 200_000)))
        elif what == 6:
            one.recv(chance.choice((1, 100, 70_000)))
        elif what == 7:
            with self.lock, self.rlock:
                time.sleep(0)
                self.local.value = chance.random()
        elif what == 8:
            self.lock.acquire(timeout=0.0005) and self.lock.release()
        elif what == 9:
            one.settimeout(chance.choice((0.0, 0.0005, 0.002)))
        elif what == 10:
            chance.choice((one.close, one.detach, lambda: one.shutdown(socket.SHUT_RDWR)))()
            self.renew()
        elif what == 11:
            gc.collect(0)
        elif what == 12:
            signal.raise_signal(signal.SIGUSR1)
        else:
            repr([self.local.__dict__, one, self.lock, self.rlock])
            time.sleep(chance.choice((0, 0.0005)))

    def rage(self, steps: int) -> None:
        threads = [threading.Thread(target=self.work, args=(number, steps)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for pair in self.pairs:
            for one in pair:
                one.close()


def main(seed: int, steps: int) -> None:
    """All of it."""
    sequence = Sequence(seed)
    for _ in range(steps):
        print(sequence.step())
    signal.signal(signal.SIGUSR1, lambda *_: gc.collect(0))
    Storm(seed).rage(steps // 10)
    print("done")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
