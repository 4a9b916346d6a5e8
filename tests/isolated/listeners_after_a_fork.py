# run: -m dhagapatch
"""A listener that a forked child may accept from stays in non-blocking mode; detached it has the mode that its owner gave it."""

import os
import socket
import threading

listener = socket.create_server(("127.0.0.1", 0))


def accepted():
    client = socket.socket()
    thread = threading.Thread(target=client.connect, args=(listener.getsockname(),))
    thread.start()
    listener.accept()[0].close()
    thread.join()
    client.close()


accepted()
assert os.get_blocking(listener.fileno())
pid = os.fork()
if pid == 0:
    os._exit(0)
os.waitpid(pid, 0)
accepted()
assert not os.get_blocking(listener.fileno()), "between the look of a sibling and its accept it would be set back"
assert listener.gettimeout() is None
fd = listener.detach()
assert os.get_blocking(fd)
