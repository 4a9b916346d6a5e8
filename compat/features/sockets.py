"""A thread for each connection: threads that wait for sockets leave the others running."""

import socket
import threading

from _runtime import answer, patch, together

patch()
listener = socket.create_server(("127.0.0.1", 0))


def echo(connection):
    connection.sendall(connection.recv(10))


def serve():
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=echo, args=(connection,), daemon=True).start()


threading.Thread(target=serve, daemon=True).start()
echoes = []


def ask():
    with socket.create_connection(listener.getsockname()) as sock:
        sock.sendall(b"word")
        echoes.append(sock.recv(10))


together(ask, 20)
answer(echoes == [b"word"] * 20)
