"""The work."""


def add(one, other):
    return one + other
