"""Sockets, contexts of TLS and events that were made before the patch are cooperative."""

import socket
import ssl
import threading
import time

from _runtime import answer, patch

left, right = socket.socketpair()
context = ssl.create_default_context()
event = threading.Event()
patch()
got = []
threads = [threading.Thread(target=lambda: got.append(left.recv(1))), threading.Thread(target=lambda: got.append(event.wait(2)))]
for thread in threads:
    thread.start()
time.sleep(0.05)
right.send(b"x")
event.set()
for thread in threads:
    thread.join(1)
context.minimum_version = ssl.TLSVersion.TLSv1_3
answer(sorted(map(str, got)) == ["True", "b'x'"])
