"""File locks: tried at once, and waited for on a native thread only when somebody else holds them."""

from __future__ import annotations

import fcntl as _stdlib
from operator import index
from typing import Any

from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch._real import pristine
from dhagapatch.core import hub_for_wait
from dhagapatch.core.descriptors import renew_descriptor
from dhagapatch.green.kernel import TAKEN, await_flock, await_record_lock, record
from dhagapatch.green.wording import worded_by

__all__ = ["fcntl", "flock", "lockf"]

_fcntl, _flock, _lockf = (pristine(_stdlib, name) for name in ("fcntl", "flock", "lockf"))
_TRYING = {_stdlib.F_SETLKW: _stdlib.F_SETLK}  # the command that does not wait, for the one that does
if hasattr(_stdlib, "F_OFD_SETLKW"):
    _TRYING[_stdlib.F_OFD_SETLKW] = _stdlib.F_OFD_SETLK


def _waits(operation: Any) -> bool:
    waits = isinstance(operation, int) and operation & (_stdlib.LOCK_SH | _stdlib.LOCK_EX) and not operation & _stdlib.LOCK_NB
    return bool(waits) and hub_for_wait() is not None


@worded_by(_flock)
def flock(fd: Any, operation: int, /) -> Any:
    if not _waits(operation):
        return _flock(fd, operation)
    try:
        return _flock(fd, operation | _stdlib.LOCK_NB)
    except OSError as error:
        if error.errno not in TAKEN:
            raise
    return await_flock(fd, operation)


@worded_by(_lockf)
def lockf(fd: Any, cmd: int, len: int = 0, start: int = 0, whence: int = 0, /) -> Any:
    if not _waits(cmd):
        return _lockf(fd, cmd, len, start, whence)
    try:
        return _lockf(fd, cmd | _stdlib.LOCK_NB, len, start, whence)
    except OSError as error:
        if error.errno not in TAKEN:
            raise
    kind = _stdlib.F_RDLCK if cmd & _stdlib.LOCK_SH else _stdlib.F_WRLCK
    await_record_lock("lockf", fd, record(kind, index(whence), index(start), index(len)))
    return None


@worded_by(_fcntl)
def fcntl(fd: Any, cmd: int, arg: Any = 0, /) -> Any:
    trying = _TRYING.get(cmd)
    if trying is not None and hub_for_wait() is not None:
        try:
            return _fcntl(fd, trying, arg)
        except OSError as error:
            if error.errno not in TAKEN:
                raise
        return await_record_lock("fcntl", fd, arg.encode() if isinstance(arg, str) else bytes(arg), cmd, trying)
    result = _fcntl(fd, cmd, arg)
    if cmd == _stdlib.F_SETFL:
        renew_descriptor(fd if isinstance(fd, int) else fd.fileno())  # its blocking mode counts anew
    return result
