"""File locks: tried at once, and waited for on a native thread only when somebody else holds them."""

from __future__ import annotations

import errno
import fcntl as _stdlib
from collections.abc import Callable
from typing import Any

from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch._real import pristine
from dhagapatch.core import hub_for_wait, offload_wait
from dhagapatch.core.descriptors import renew_descriptor
from dhagapatch.green.wording import worded_by

__all__ = ["fcntl", "flock", "lockf"]

_fcntl, _flock, _lockf = (pristine(_stdlib, name) for name in ("fcntl", "flock", "lockf"))
_SETLKW = {_stdlib.F_SETLKW, getattr(_stdlib, "F_OFD_SETLKW", _stdlib.F_SETLKW)}


def _lock(call: Callable[..., Any], fd: Any, operation: Any, args: tuple[Any, ...]) -> Any:
    waits = isinstance(operation, int) and operation & (_stdlib.LOCK_SH | _stdlib.LOCK_EX) and not operation & _stdlib.LOCK_NB
    if not waits or hub_for_wait() is None:
        return call(fd, operation, *args)
    try:
        return call(fd, operation | _stdlib.LOCK_NB, *args)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
    return offload_wait(call, fd, operation, *args)


@worded_by(_flock)
def flock(fd: Any, operation: int, /) -> Any:
    return _lock(_flock, fd, operation, ())


@worded_by(_lockf)
def lockf(fd: Any, cmd: int, len: int = 0, start: int = 0, whence: int = 0, /) -> Any:
    return _lock(_lockf, fd, cmd, (len, start, whence))


@worded_by(_fcntl)
def fcntl(fd: Any, cmd: int, arg: Any = 0, /) -> Any:
    if cmd in _SETLKW and hub_for_wait() is not None:
        return offload_wait(_fcntl, fd, cmd, arg)
    result = _fcntl(fd, cmd, arg)
    if cmd == _stdlib.F_SETFL:
        renew_descriptor(fd if isinstance(fd, int) else fd.fileno())  # its blocking mode counts anew
    return result
