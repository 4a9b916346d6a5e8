"""A deadlock: two transfers in opposite directions take the two accounts' locks in opposite order."""

import threading


class Account:
    """A balance."""

    def __init__(self, number, balance):
        self.number = number
        self.balance = balance
        self.lock = threading.Lock()


def transfer(source, target, amount):
    with source.lock:
        with target.lock:
            source.balance -= amount
            target.balance += amount


def transfer_in_order(source, target, amount):
    first, second = sorted((source, target), key=lambda account: account.number)
    with first.lock:
        with second.lock:
            source.balance -= amount
            target.balance += amount


def transfer_both_ways(function):
    one, two = Account(1, 100), Account(2, 100)
    threads = [
        threading.Thread(target=function, args=(one, two, 10), name="there"),
        threading.Thread(target=function, args=(two, one, 20), name="and back"),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (one.balance, two.balance) == (110, 90)


def broken():
    transfer_both_ways(transfer)


def mended():
    transfer_both_ways(transfer_in_order)
