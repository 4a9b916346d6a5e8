"""Where in its code a frame stands, and who called it: what must be known before a thread may be interrupted there.

The interpreter does not tell a frame that Python code called from one that C code did (a key function of `sorted`, a
`readinto` under a buffer), so this reads its own structures: a call from C begins another evaluation of bytecode, which leaves
a mark.  Nothing is taken on trust: `check` looks at frames whose callers are known.  Checked: 3.11.7, 3.12.1, 3.13.0, 3.14, 3.15.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from opcode import opname
from types import CodeType, FrameType

from dhagapatch._real import BUILTINS as __builtins__

__all__ = ["called_from_c", "check", "is_between_blocks", "is_interruptible", "may_run_on_later"]

_pointer = ctypes.c_void_p.from_address
_byte = ctypes.c_ubyte.from_address
_INTERPRETER_FRAME = 24  # in a frame object, after its head and f_back
_IS_ENTRY = 68  # 3.11: in the interpreter's frame
# since 3.12: a frame of the evaluation's own stands before the first one
_PREVIOUS, _OWNER, _OWNED_BY_C = 8, 74 if sys.version_info >= (3, 14) else 70, 3
_MARKED = sys.version_info < (3, 12)

_GENERATOR = 0x20 | 0x80 | 0x200  # flags of code: generator, coroutine, asynchronous generator
_CALLS = frozenset(("CALL", "PRECALL", "CALL_KW", "CALL_FUNCTION_EX"))
_CALLS_WITH = frozenset(("BEFORE_WITH", "BEFORE_ASYNC_WITH", "WITH_EXCEPT_START"))
_ITERATES = _CALLS | {"FOR_ITER", "SEND"}
_MAKES = frozenset(("__init__", "__new__", "__call__", "<module>"))
_THREAD = "_bootstrap_inner"  # the method of `threading.Thread` that calls `run`


def called_from_c(frame: FrameType) -> bool:
    """Whether C code called this frame's function, and waits for it."""
    inner = _pointer(id(frame) + _INTERPRETER_FRAME).value
    assert inner is not None
    if _MARKED:
        return _byte(inner + _IS_ENTRY).value != 0
    previous = _pointer(inner + _PREVIOUS).value
    return previous is not None and _byte(previous + _OWNER).value == _OWNED_BY_C


def check() -> bool:
    """Whether `called_from_c` tells the truth in this interpreter."""

    def asked(_: object = None) -> bool:
        return called_from_c(sys._getframe())

    def caller_asked(_: object = None) -> bool:
        return asked_of_caller()

    def asked_of_caller() -> bool:
        return called_from_c(sys._getframe(1))

    # HAZARD: where an object's head is another one (32 bits, free threads, a debug build) nothing must be read at these places
    if sys.implementation.name != "cpython" or object.__basicsize__ != 16:
        return False
    # often: the interpreter has other instructions for a call that it has seen before
    return all(
        not asked() and not caller_asked() and all(map(asked, "1")) and all(map(caller_asked, "1")) for _ in range(20)
    )


def _operation(code: CodeType, at: int) -> str:
    return opname[code.co_code[at]] if 0 <= at < len(code.co_code) else ""


def is_interruptible(frame: FrameType) -> bool:
    """Whether the frame stands at a function's entry or at the end of a loop's round, and not within a call of C code.

    A signal handler is also called by C functions that find their system call interrupted; what they hold then nobody knows.
    """
    code, at = frame.f_code, frame.f_lasti
    name = _operation(code, at)
    if name == "COMPARE_OP":  # 3.11: one instruction with the jump that follows it, if that goes backward
        name = _operation(code, at + 2)
        while name == "CACHE":
            at += 2
            name = _operation(code, at + 2)
        return name.startswith("POP_JUMP_BACKWARD")
    return name == "RESUME" or name.startswith(("JUMP_BACKWARD", "POP_JUMP_BACKWARD"))


def is_between_blocks(frame: FrameType) -> bool:
    """Whether neither this frame nor any that called it stands inside of a ``with`` block, which may hold a lock."""
    at: FrameType | None = frame
    while at is not None:
        code, place = at.f_code, at.f_lasti
        handlers = list(_handlers(code))
        while True:
            # that of the innermost block; the handler itself stands in the next one
            place = next((handler for start, end, handler in handlers if start <= place < end), -1)
            if place < 0:
                break
            if _operation(code, place) == "PUSH_EXC_INFO" and _operation(code, place + 2) == "WITH_EXCEPT_START":
                return False
        at = at.f_back
    return True


def _handlers(code: CodeType) -> Iterator[tuple[int, int, int]]:
    """The stretches of code, in bytes, that have a handler: start, end, where it begins.  Checked: 3.11.7, 3.12.1, 3.13.0."""
    rest = iter(code.co_exceptiontable)
    for first in rest:
        start = _number(first, rest)
        size, handler, _ = (_number(next(rest), rest) for _ in range(3))
        yield 2 * start, 2 * (start + size), 2 * handler


def _number(first: int, rest: Iterator[int]) -> int:
    value = first & 63
    while first & 64:
        first = next(rest)
        value = value << 6 | first & 63
    return value


def may_run_on_later(frame: FrameType) -> bool:
    """Whether nothing is held by whoever called this frame's function, as far as the caller's instruction tells.

    Python code may.  Of C code: what makes an instance or runs a module's code, what enters a context, what goes on with a
    generator, and what is called with ``f(*args)``, which for Python functions goes through C until 3.12.
    """
    caller = frame.f_back
    if caller is None or not called_from_c(frame):
        return True
    name = _operation(caller.f_code, caller.f_lasti)
    if caller.f_code.co_name == _THREAD and caller.f_globals.get("__name__") == "threading" and name in _CALLS:
        return True  # since 3.14, in the thread's context: by `Context.run`, which is C code
    if frame.f_code.co_flags & _GENERATOR:
        return name in _ITERATES
    if name == "CALL_FUNCTION_EX" or name in _CALLS_WITH:
        return True
    return name in _CALLS and frame.f_code.co_name in _MAKES
