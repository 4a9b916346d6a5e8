"""A blocking socket stays one for the kernel, so that a child or a C library that gets it finds it as without the patch."""

import os
import socket
import threading

from _runtime import answer, patch

patch()
left, right = socket.socketpair()
threading.Timer(0.05, right.send, (b"x",)).start()
assert left.recv(1) == b"x"
answer(os.get_blocking(left.fileno()))
