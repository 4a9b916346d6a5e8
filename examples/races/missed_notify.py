"""A missed notify: the mailbox is looked at without its lock, and the letter comes between the look and the wait."""

import threading


class Mailbox:
    """Letters for one reader."""

    def __init__(self):
        self.condition = threading.Condition()
        self.letters = []

    def put(self, letter):
        self.letters.append(letter)
        with self.condition:
            self.condition.notify()

    def get(self):
        if not self.letters:
            with self.condition:
                self.condition.wait()
        return self.letters.pop(0)

    def get_with_lock(self):
        with self.condition:
            while not self.letters:
                self.condition.wait()
            return self.letters.pop(0)


def send_one(method):
    mailbox = Mailbox()
    got = []
    reader = threading.Thread(target=lambda: got.append(method(mailbox)), name="reader")
    reader.start()
    mailbox.put("hello")
    reader.join()
    assert got == ["hello"]


def broken():
    send_one(Mailbox.get)


def mended():
    send_one(Mailbox.get_with_lock)
