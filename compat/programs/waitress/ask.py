"""Starts the server and asks it, one request after the other and many at once."""

import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import requests

port, launcher = sys.argv[1], sys.argv[2:]
server = [sys.executable, *launcher, "-m", "waitress", f"--listen=127.0.0.1:{port}", "--threads=8", "app:app"]


def ask(number):
    return requests.get(f"http://127.0.0.1:{port}/{number}").text


with subprocess.Popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
    while True:
        try:
            socket.create_connection(("127.0.0.1", int(port))).close()
            break
        except OSError:
            time.sleep(0.05)
    print([ask(number) for number in range(20)])
    with ThreadPoolExecutor(8) as pool:
        print(list(pool.map(ask, range(80))))
    process.terminate()
