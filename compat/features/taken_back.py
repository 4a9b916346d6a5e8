"""The patch can be taken back, whole."""

import socket
import time

from _runtime import RUNTIME, answer, patch

before = time.sleep, vars(socket.socket).get("recv"), socket.socket
patch()
if RUNTIME == "dhagapatch":
    import dhagapatch

    dhagapatch.unpatch_all()
answer((time.sleep, vars(socket.socket).get("recv"), socket.socket) == before)
