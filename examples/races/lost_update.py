"""A lost update: two threads read a balance, and each writes back what it makes of it."""

import threading


class Account:
    """A balance."""

    def __init__(self):
        self.balance = 0
        self.lock = threading.Lock()

    def deposit(self, amount):
        balance = self.balance
        self.balance = balance + amount

    def deposit_with_lock(self, amount):
        with self.lock:
            balance = self.balance
            self.balance = balance + amount


def deposit_twice(method):
    account = Account()
    threads = [threading.Thread(target=method, args=(account, 10)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert account.balance == 20, f"the balance is {account.balance}"


def broken():
    deposit_twice(Account.deposit)


def mended():
    deposit_twice(Account.deposit_with_lock)
