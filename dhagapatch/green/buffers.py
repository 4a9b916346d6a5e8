"""The interpreter's buffered files, over whatever raw file: threads that share one wait for each other.

HAZARD: `io.Buffered*` hold a native lock while they call the raw file, and that knows OS threads only.  If the raw file parks, a
second dhaga that uses the same buffer would be told "reentrant call", because to the native lock it is the same thread; threads
wait.  So each method that takes the native lock takes a turn first, of all objects of these classes and their subclasses,
whenever they were made.  Who is in again already, by what the raw file calls, is told so in the native words.

A raw file that is the interpreter's own `FileIO`, or in memory, never parks: there the native method is called at once.
With the compiled part the classes keep their methods, which take the turns in C; without, the classes hold functions instead.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from typing import Any

from greenlet import getcurrent

from dhagapatch._guard import AT_EXIT
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import Dhaga, Lock, compiled
from dhagapatch.core.hub import HubGreenlet

__all__ = ["take_turns"]

# those that take the native lock; the others, and what is inherited, call these
_METHODS = ("read", "read1", "readinto", "readinto1", "readline", "peek", "write", "flush", "seek", "truncate", "close")
_AT_ONCE = (io.FileIO, io.BytesIO, type(None))  # what is under a buffer that was detached, or not set up: it has the words


class _Turns(Lock):
    """The turns of a buffer that several want, and the identity of the greenlet that is in."""

    __slots__ = ("owner",)

    def __init__(self) -> None:
        super().__init__()
        self.owner = 0


# By the buffer's identity, while somebody is in: the identity of that greenlet, or the turns if another one has come.  No
# references: a greenlet that nobody else has is to be unwound.
_inside: dict[int, Any] = {}


def _is_in(owner: int) -> bool:
    """Whether the caller is inside already; a greenlet that a library made goes on for the one in which it was made."""
    above: Any = getcurrent()
    while id(above) != owner:
        if type(above) in (Dhaga, HubGreenlet) or above.parent is None:
            return False
        above = above.parent
    return True


def _await_turn(buffer: Any) -> bool | None:
    """Wait until it is the caller's turn, which is to be ended by `_end_turn`; False if the caller is inside already.

    None: somebody was in, and there is nobody now, or another one; look again.
    """
    key = id(buffer)
    found = _inside.get(key)
    if found is None:
        return None
    if _is_in(found.owner if isinstance(found, _Turns) else found):
        return False
    if isinstance(found, _Turns):
        turns = found
    else:
        turns = _Turns()  # who is in came first, and needed no lock: it gets one
        turns._mutex_held = True
        try:
            turns.owner, _inside[key] = _inside[key], turns  # HAZARD: one line, as a native thread may leave at any call
        except KeyError:
            return None
        if isinstance(turns.owner, _Turns):  # another one was faster; who has ours meanwhile finds out
            _inside[key] = turns.owner
            turns.release()
            return None
    try:
        turns.acquire()
    except BaseException:
        if not turns._mutex_held and not turns._waiters and _inside.get(key) is turns:
            del _inside[key]
        raise
    if _inside.get(key) is not turns:
        turns.release()
        return None
    turns.owner = id(getcurrent())
    return True


def _end_turn(buffer: Any) -> None:
    """The turn of the caller, who had to wait or is waited for, is over."""
    turns: Any = _inside.get(id(buffer))
    turns.owner = 0
    if not turns._waiters:
        del _inside[id(buffer)]
    turns.release()


def _taking_turns(native: Any, raw_of: Callable[[Any], Any]) -> Any:
    """The native method, for one thread at a time."""

    def method(self: Any, *args: Any, **wrong: Any) -> Any:
        try:
            at_once = bool(wrong) or type(raw_of(self)) in _AT_ONCE
            me = id(getcurrent())
        except (TypeError, RuntimeError):  # of another class: the native one has the words; or the interpreter's last moments
            at_once = True
        if at_once:
            return native(self, *args, **wrong)
        key = id(self)
        while key in _inside or _inside.setdefault(key, me) is not me:  # somebody is in
            turn = _await_turn(self)
            if turn:
                break
            if turn is False:
                return native(self, *args)
        try:
            return native(self, *args)
        finally:
            if _inside[key] is me:
                del _inside[key]
            else:
                _end_turn(self)

    method.__name__, method.__qualname__, method.__doc__ = native.__name__, native.__qualname__, native.__doc__
    method.__wrapped__ = native  # type: ignore[attr-defined]  # it has the signature
    return method


def _iterates_at_once(kind: Any) -> bool:
    """Whether iteration takes the native lock without calling `readline` by its name."""
    if not hasattr(kind, "readline"):
        return False
    probe = kind(io.BytesIO())
    probe.readline = lambda: b"by name"
    return next(probe, None) is None


def _in_python(kind: type, names: Iterable[str]) -> list[Callable[[], object]]:
    """Have `kind` hold functions in the place of these methods; how to take that back."""
    ctypes: Any = import_module("dhagapatch._ctypes")  # it is not needed otherwise
    raw_of = vars(kind)["raw"].__get__  # HAZARD: a subclass may have another `raw`
    undos: list[Callable[[], object]] = []
    for name in names:
        native = vars(kind)[name]
        if name == "__next__":
            undo = ctypes.iterate_as(kind, io.IOBase.__base__)
            if undo is not None:
                undos.append(undo)
        elif ctypes.set_method(kind, name, _taking_turns(native, raw_of)):
            undos.append(partial(ctypes.set_method, kind, name, native))
    return undos


def _end_turns() -> None:
    """From now on the native methods: an error in the flush of a standard stream shows no frame of ours."""
    for undo in _undos:
        undo()


_undos: list[Callable[[], object]] = []
AT_EXIT.append(_end_turns)


def take_turns(kind: Any) -> Callable[[], None]:
    """Have the methods of a buffered class take turns; how to take that back."""
    names = tuple(name for name in _METHODS if name in vars(kind) and not (name == "flush" and kind is io.BufferedReader))
    if _iterates_at_once(kind):
        names += ("__next__",)
    left = names if compiled.speedups is None else compiled.speedups.take_turns(kind, names, True)
    undos = _in_python(kind, left) if left else []
    _undos.extend(undos)

    def undo() -> None:
        if compiled.speedups is not None:
            compiled.speedups.take_turns(kind, names, False)
        for one in undos:
            one()
            _undos.remove(one)

    return undo


if compiled.speedups is not None:
    compiled.speedups.setup_files({
        "inside": _inside, "await_turn": _await_turn, "end_turn": _end_turn, "FileIO": io.FileIO, "BytesIO": io.BytesIO,
        "Buffered": io.BufferedReader,
    })  # fmt: skip
