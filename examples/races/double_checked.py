"""A broken double-checked initialisation: the object is there for all to see before it is ready."""

import threading


class Service:
    """Made at the first use."""

    def __init__(self):
        self.connection = None

    def connect(self):
        self.connection = "open"

    def ask(self):
        return self.connection.upper()


class Holder:
    """Has the only service."""

    def __init__(self):
        self.service = None
        self.lock = threading.Lock()

    def get(self):
        if self.service is None:
            with self.lock:
                if self.service is None:
                    self.service = Service()
                    self.service.connect()
        return self.service

    def get_when_ready(self):
        if self.service is None:
            with self.lock:
                if self.service is None:
                    service = Service()
                    service.connect()
                    self.service = service
        return self.service


def ask_from_two_threads(method):
    holder = Holder()
    threads = [threading.Thread(target=lambda: method(holder).ask()) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def broken():
    ask_from_two_threads(Holder.get)


def mended():
    ask_from_two_threads(Holder.get_when_ready)
