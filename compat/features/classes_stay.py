"""The standard library's classes stay: `socket.socket`, `threading.Event` and `queue.Queue` are the same objects as before."""

import queue
import socket
import ssl
import subprocess
import threading

from _runtime import answer, patch


def classes():
    return socket.socket, ssl.SSLSocket, threading.Event, threading.Thread, queue.Queue, subprocess.Popen


before = classes()
patch()
answer(classes() == before)
