"""Real objects that the runtime keeps in a set, a list or a deque stay real; those in the program's are exchanged."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import dhagapatch
from dhagapatch.core import own

real = time.sleep


class Keeper:
    def __init__(self) -> None:
        self.kept: list[Any] = [{real}, [real], deque([real])]


class OwnKeeper(Keeper):
    __module__ = "dhagapatch.core.own"

    __slots__ = ("a_deque", "a_list", "a_set")  # slots: the object itself holds them

    def __init__(self) -> None:
        self.a_set, self.a_list, self.a_deque = {real}, [real], deque([real])


keeper, own_keeper = Keeper(), OwnKeeper()
own.a_set, own.a_list, own.a_deque = {real}, [real], deque([real])  # type: ignore[attr-defined]
dhagapatch.patch_all()
original = dhagapatch.original("time", "sleep")
for things in keeper.kept:
    assert original not in things and time.sleep in things, things
for holder in (own, own_keeper):
    for name in ("a_set", "a_list", "a_deque"):
        things = getattr(holder, name)
        assert original in things and time.sleep not in things, (holder, things)
dhagapatch.unpatch_all()
for things in keeper.kept:
    assert original in things, things
