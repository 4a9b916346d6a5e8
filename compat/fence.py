"""A network of our own, with nothing in it but the loopback: other projects' tests reach for addresses all over the world.

With it a name that must not be found is not found at once, no port is taken, and no packet leaves the machine.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct

__all__ = ["fence"]

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
SIOCADDRT, RTF_UP, RTF_HOST = 0x890B, 1, 4
_ROUTE = "L16s16s16sHhLPhPLLH0L"  # struct rtentry of <linux/route.h>


def fence() -> bool:
    """Move this process, and what it starts from now on, into such a network; False where the system does not let us.

    Root may; a user with a user namespace, in which there are no other users, if the process has one thread.
    """
    unshare = getattr(ctypes.CDLL(None), "unshare", None)
    if unshare is None:
        return False
    user, group = os.getuid(), os.getgid()
    if unshare(CLONE_NEWNET):
        if unshare(CLONE_NEWUSER | CLONE_NEWNET):
            return False
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        named = fcntl.ioctl(sock, SIOCGIFFLAGS, struct.pack("16sh22x", b"lo", 0))
        flags = struct.unpack("16sh22x", named)[1]
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | IFF_UP))
        _broadcast_to_loopback(sock)
    return True


def _broadcast_to_loopback(sock: socket.socket) -> None:
    """Have what is sent to every host of the network reach this one, all that there is."""
    every, none = (struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(name)) for name in ("255.255.255.255", "0.0.0.0"))
    device = ctypes.create_string_buffer(b"lo")
    where = ctypes.addressof(device)
    fcntl.ioctl(sock, SIOCADDRT, struct.pack(_ROUTE, 0, every, none, every, RTF_UP | RTF_HOST, 0, 0, 0, 0, where, 0, 0, 0))
