# run: -m dhagapatch
"""Who sends little, again and again, and never has to wait, lets the others run now and then."""

import socket

import dhagapatch

left, right = socket.socketpair()
for send in (left.send, left.sendall, lambda data: left.sendmsg([data])):
    ran = []
    dhagapatch.spawn(ran.append, 1)
    for _ in range(120):  # there is room for more than that
        send(b"x")
    assert ran, send
    while len(right.recv(1000)) == 1000:
        pass
