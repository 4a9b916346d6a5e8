"""The dump says what each thread waits for: which lock, who holds it, which descriptor."""

import socket
import threading
import time

from _runtime import RUNTIME, answer, patch

patch()
lock = threading.RLock()
left, right = socket.socketpair()


def holds():
    with lock:
        left.recv(1)


for target, name in ((holds, "Holder"), (lock.acquire, "Waiter")):
    threading.Thread(target=target, name=name, daemon=True).start()
    time.sleep(0.02)
text = ""
if RUNTIME == "dhagapatch":
    import dhagapatch

    text = str(dhagapatch.dump())
elif RUNTIME == "gevent":
    import gevent.util

    text = "\n".join(gevent.util.format_run_info())
first_lines = [line for line in text.splitlines() if "Waiter" in line or "Holder" in line]
answer(
    any("Waiter" in line and "Holder" in line for line in first_lines)
    and any("Holder" in line and str(left.fileno()) in line for line in first_lines)
)
