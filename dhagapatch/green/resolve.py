"""Name look-ups, which the C library can only do by blocking: on a native thread, unless the name is a number."""

from __future__ import annotations

import _socket
from typing import Any

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core.offload import look_up

__all__ = [
    "getaddrinfo", "gethostbyaddr", "gethostbyname", "gethostbyname_ex", "getnameinfo", "getprotobyname", "getservbyname",
    "getservbyport", "resolve_address",
]  # fmt: skip

_LONGEST = {_socket.AF_INET: 2, _socket.AF_INET6: 4}


def _is_numeric(host: object) -> bool:
    """Whether the C library needs no look-up for `host`; bad types count, for it to complain about."""
    if isinstance(host, (bytes, bytearray)):
        try:
            host = bytes(host).decode("ascii")
        except UnicodeDecodeError:
            return False
    if not isinstance(host, str) or host in ("", "<broadcast>"):
        return True
    if not host.isascii() or "\0" in host:
        return False
    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            _socket.inet_pton(family, host.partition("%")[0])
            return True
        except OSError:
            pass
    return False


def getaddrinfo(*args: Any, **kwargs: Any) -> Any:
    host = args[0] if args else kwargs.get("host")
    if _is_numeric(host):
        return _real.getaddrinfo(*args, **kwargs)
    return look_up(_real.getaddrinfo, *args, **kwargs)


def gethostbyname(*args: Any) -> Any:
    if args and _is_numeric(args[0]):
        return _real.gethostbyname(*args)
    return look_up(_real.gethostbyname, *args)


def gethostbyname_ex(*args: Any) -> Any:
    return look_up(_real.gethostbyname_ex, *args)


def gethostbyaddr(*args: Any) -> Any:
    return look_up(_real.gethostbyaddr, *args)


def getnameinfo(*args: Any) -> Any:
    try:
        if not args or not isinstance(args[0], tuple):
            return _real.getnameinfo(*args)  # raises
        return look_up(_real.getnameinfo, *args)
    finally:
        del args  # a traceback must not hold them longer than that of a C function would


def getservbyname(*args: Any) -> Any:
    return look_up(_real.getservbyname, *args)


def getservbyport(*args: Any) -> Any:
    return look_up(_real.getservbyport, *args)


def getprotobyname(*args: Any) -> Any:
    return look_up(_real.getprotobyname, *args)


def resolve_address(sock: Any, address: Any) -> Any:
    """`address` with its host looked up, if the C method would have to look it up itself (and block)."""
    if not isinstance(address, tuple) or len(address) < 2 or _is_numeric(address[0]):
        return address
    family = _real.socket.family.__get__(sock)
    if len(address) > _LONGEST.get(family, 0) or not all(isinstance(part, int) for part in address[1:]):
        return address  # the C method has words for what is wrong
    host = address[0]
    if isinstance(host, str) and host.isascii():
        host = host.encode()  # as the C method does: a name that is no valid label is looked up all the same
    found = look_up(_real.getaddrinfo, host, None, family)
    return (found[0][4][0], *address[1:])
