# run: -m dhagapatch
"""Who sends little, again and again, and never has to wait, lets the others run now and then."""

import socket
import threading

left, right = socket.socketpair()
for send in (left.send, left.sendall, lambda data: left.sendmsg([data])):
    ran = []
    thread = threading.Thread(target=ran.append, args=(1,))
    thread.start()
    for _ in range(120):  # there is room for more than that
        send(b"x")
    assert ran, send
    thread.join()
    while len(right.recv(1000)) == 1000:
        pass
