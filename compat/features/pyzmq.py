"""Threads talk to each other by pyzmq, whose C library waits."""

import threading

from _runtime import answer, patch

patch()
import zmq  # noqa: E402

context = zmq.Context()
server = context.socket(zmq.REP)
port = server.bind_to_random_port("tcp://127.0.0.1")


def serves():
    for _ in range(3):
        server.send(server.recv().upper())


thread = threading.Thread(target=serves, daemon=True)
thread.start()
client = context.socket(zmq.REQ)
client.connect(f"tcp://127.0.0.1:{port}")
answers = []
for number in range(3):
    client.send(b"x%d" % number)
    answers.append(client.recv())
thread.join(5)
client.close(0)
server.close(0)
answer(answers == [b"X0", b"X1", b"X2"])
