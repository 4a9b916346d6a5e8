# run: -m dhagapatch
"""What OpenSSL has decrypted already is read without a wait, though nothing is left to be read from the kernel."""

import socket
import ssl
import threading

import trustme

authority = trustme.CA()
server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
authority.issue_cert("localhost").configure_cert(server_context)
client_context = ssl.create_default_context()
authority.configure_trust(client_context)
left, right = socket.socketpair()
servers = []
thread = threading.Thread(target=lambda: servers.append(server_context.wrap_socket(left, server_side=True)))
thread.start()
client = client_context.wrap_socket(right, server_hostname="localhost")
thread.join()
(server,) = servers
for _ in range(3):  # before the first data nothing is known of its flow
    server.sendall(b"0123456789")
    assert [client.recv(2) for _ in range(5)] == [b"01", b"23", b"45", b"67", b"89"]
buffer = bytearray(2)
server.sendall(b"0123")
assert (client.recv_into(buffer), client.recv_into(buffer)) == (2, 2) and buffer == b"23"
buffer += b"its size may change again"
